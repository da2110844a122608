"""How cost grows with users, history, prompt length and vocabulary, and that memory is bounded."""

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import timing
from benchmarks.results_file import RESULTS, write_results
from benchmarks.workloads import Workload
from lampbench.engine.batched.adapter_cache import AdapterCache

_ANSWER, _PROMPT, _USERS = 32, 70, 16


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Least-squares slope of log seconds over log size: 1 means linear growth."""
    xs, ys = [math.log(x) for x in sizes], [math.log(y) for y in seconds]
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    over = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return round(over / sum((x - mx) ** 2 for x in xs), 2)


def curve(sizes: Sequence[int], prepare: Callable[[int], Callable[[], object]]) -> dict[str, Any]:
    """Seconds at each size (the least of three after a first call), and how they grow."""
    found = []
    for size in sizes:
        work = prepare(size)
        work()
        found.append(min(timing.seconds(work, torch.device("cpu")) for _ in range(3)))
        print(f"  {size}: {found[-1]:.3f} s", file=sys.stderr)
    return {"sizes": list(sizes), "seconds": found, "exponent": exponent(sizes, found)}


def adapter_memory(work: Workload, users: int, capacity: int) -> dict[str, int]:
    """Bytes of adapters on disk, and in memory after all were used and `capacity` was allowed."""
    adapters = AdapterCache(work.batched._model, work.batched._base, capacity)
    folders = [work.user(i) for i in range(users)]
    for folder in folders:
        adapters.layout([(folder,)])
    on_disk = sum(
        file.stat().st_size for folder in folders for file in folder.glob("*.safetensors")
    )
    return {"adapters": users, "bytes_on_disk": on_disk, "bytes_allowed": capacity,
            "bytes_in_memory": adapters.bytes_held}  # fmt: skip


@click.command()
@click.option("--small", is_flag=True, help="Smallest sizes, to see that it works.")
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(small: bool, output: Path) -> None:
    """Fit growth exponents with the bundled model; writes scaling.json."""
    answer = 4 if small else _ANSWER
    users = (1, 2) if small else (16, 32, 64, 128)
    histories = (2, 4) if small else (8, 16, 32, 64)
    prompts = (40, 60) if small else (64, 128, 256, 512)
    vocabularies = (8192, 16384) if small else (8192, 16384, 32768, 65536)
    some = 2 if small else _USERS
    with tempfile.TemporaryDirectory() as home:
        work = Workload("bundled", max(users), Path(home))

        def decode(of: Workload, prompt: int, count: int) -> Callable[[], object]:
            asked = of.requests("contrastive", prompt, answer, count)
            return lambda: list(of.batched.generate(asked))

        def train(operation: str, records: int) -> Callable[[], object]:
            def once() -> None:
                shutil.rmtree(work.home / "trained", ignore_errors=True)
                jobs = work.jobs(operation, _PROMPT, 16, records, 4, "scaling", min(4, some))
                list(work.batched.train(jobs, lambda *_: None))

            return once

        results: dict[str, Any] = {}
        results["users, contrastive"] = curve(users, lambda n: decode(work, _PROMPT, n))
        results["prompt tokens, contrastive"] = curve(prompts, lambda n: decode(work, n, some))
        results["history, sft"] = curve(histories, lambda n: train("sft", n))
        results["history, dpo"] = curve(histories, lambda n: train("dpo", n))
        results["vocabulary, contrastive"] = curve(
            vocabularies,
            lambda n: decode(Workload("bundled", some, Path(home), vocabulary=n), _PROMPT, some),
        )
        size = work.user(0).joinpath("adapter_model.safetensors").stat().st_size
        results["adapters in memory"] = adapter_memory(work, max(users), 3 * size)
    for name, found in results.items():
        print(f"{name}: {found}")
    write_results(
        "scaling", {"threads": torch.get_num_threads(), "answer": answer}, results, output
    )


if __name__ == "__main__":
    main()
