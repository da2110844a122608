"""`python -m benchmarks.gpu`: needs nothing but Python until the missing packages are installed."""

import argparse
import sys
import time
from pathlib import Path

from benchmarks.gpu.part import Outcome, run_part
from benchmarks.gpu.parts import all_parts
from benchmarks.gpu.summary import summary
from benchmarks.gpu.wheels import install_missing

_LEAST = 3.0  # seconds with which a part is still begun
_PLACES = {"cuda": ("mistral-7b-shape", "qwen2.5-1.5b-shape"), "cpu": ("tiny",)}


def main(arguments: list[str] | None = None) -> int:
    """Run all parts within the budget; 0 if every one passed, else 2."""
    options = _options(arguments)
    ends = time.monotonic() + options.budget
    folder: Path = options.output.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    if options.wheels:
        outcomes.append(install_missing(options.wheels.resolve(), folder, options.budget / 4))
        _tell(outcomes[-1])
    models = options.model or _PLACES.get(options.device.partition(":")[0], _PLACES["cuda"])
    parts = all_parts(options.device, options.dtype, models, folder)
    if options.only:
        parts = [part for part in parts if part.name in options.only]
    if not parts:
        print(f"no part is called {' or '.join(options.only)}", file=sys.stderr)
        return 2
    for number, part in enumerate(parts):
        left = ends - time.monotonic()
        shares = sum(each.share for each in parts[number:])
        limit = left * part.share / shares
        if limit < _LEAST:
            outcome = Outcome.of(part, "not run", 0.0, limit, error="no time was left")
            outcome.write(folder)
        else:
            print(f"{part.name}: at most {limit:.0f} s", flush=True)
            outcome = run_part(part, limit, folder)
        outcomes.append(outcome)
        _tell(outcome)
    table = summary(outcomes)
    (folder / "summary.txt").write_text(table + "\n", encoding="utf-8")
    print(f"\n{table}\n\nEach part's numbers: {folder}/*.json, its output: {folder}/*.log")
    return 0 if all(outcome.state == "passed" for outcome in outcomes) else 2


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path("gpu-results"))
    parser.add_argument("--wheels", type=Path, help="Folder of wheels for what is not installed.")
    parser.add_argument("--budget", type=float, default=480.0, help="Seconds for everything.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", help="Precision of the speed parts.  [bfloat16, CPU: float32]")
    parser.add_argument("--model", action="append", help="A shape of benchmarks/workloads.py.")
    parser.add_argument("--only", action="append", default=[], metavar="PART")
    options = parser.parse_args(arguments)
    options.dtype = options.dtype or ("float32" if options.device == "cpu" else "bfloat16")
    return options


def _tell(outcome: Outcome) -> None:
    print(f"{outcome.part}: {outcome.state} after {outcome.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
