"""Which parts there are; the most valuable come first, since the time may not do for all.

Their shares of the time are what they took on an H200 of a virtual machine.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.part import Part

# Tests that compare engines with PEFT and transformers, which stay on the CPU.
EQUALITY = (
    "tests/engine/test_counter_random.py",
    "tests/engine/batched/test_decoding_loop.py",
    "tests/engine/batched/test_step_kinds.py",
    "tests/engine/batched/test_response_scorer.py",
    "tests/engine/batched/test_shared_adapters.py",
    "tests/engine/batched/test_training_loop.py",
    "tests/engine/batched/test_sides.py",
    "tests/engine/batched/test_architectures.py",
    "tests/engine/reference/test_engine.py",
    "tests/engine/batched/test_decoding_loop_many_users.py",
    "tests/engine/batched/test_response_scorer_many_users.py",
    "tests/engine/batched/test_training_loop_many_users.py",
)
_DEMO = {"cpu": ("bundled-small", "1")}  # on a GPU what `make demo` has


def all_parts(device: str, dtype: str, models: Sequence[str], folder: Path) -> list[Part]:
    """The parts, whose files are in `folder`; the speed parts use `dtype` and these shapes."""

    def part(name: str, share: float, *commands: Sequence[str]) -> Part:
        found = folder / f"{name}.found.json"
        filled = [[each.replace("FOUND", str(found)) for each in command] for command in commands]
        return Part(name, device, share, filled, found)

    def speed(family: str, model: str, share: float) -> Part:
        return part(
            f"{family}-{model}", share,
            ["-m", f"benchmarks.gpu.{family}", "--model", model, "--device", device,
             "--dtype", dtype, "--found", "FOUND"],
        )  # fmt: skip

    home = folder / "demo"
    shown, users = _DEMO.get(device, ("bundled", "8"))
    run = ["-m", "lampbench", "run", "--task", "news_headline", "--model", shown]
    where = ["--users", users, "--device", device,
             "--results", str(home / "results"), "--cache-dir", str(home / "cache")]  # fmt: skip
    overview = ["-m", "lampbench", "overview", "--task", "news_headline", "--model", shown,
                "--results", str(home / "results")]  # fmt: skip
    doctor = ["-m", "lampbench", "doctor", "--model", "bundled", "--model-arg", "dtype=bfloat16",
              "--cache-dir", str(home / "cache"), "--results", str(home / "results")]  # fmt: skip
    return [
        part("rates", 1, ["-m", "benchmarks.gpu.rates", "--device", device, "--found", "FOUND"]),
        part("equality", 9, ["-m", "pytest", "-p", "benchmarks.gpu.outcomes", "--outcomes",
                             "FOUND", "--device", device, *EQUALITY]),
        part("doctor", 1.2, doctor),
        part("demo", 4, [*run, "--method", "cope", *where],
             [*run, "--method", "base", "--method", "tam", "--method", "oppu", *where], overview),
        *(speed("decoding", model, 6) for model in models),
        *(speed("training", model, 4.5) for model in models),
    ]  # fmt: skip
