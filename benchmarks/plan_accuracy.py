"""How near `lampbench plan` comes to what runs then take: eight runs of different kinds.

    OMP_NUM_THREADS=1 python -m benchmarks.plan_accuracy

Each kind is calibrated, planned and run in turn, in one process. Seconds are those of the processor
and not of the clock, so that other work on the machine does not count.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.runner import execute
from lampbench.study.calibrate import calibrate
from lampbench.study.forecast import forecast
from lampbench.util.progress import Progress

KINDS = (
    ("base", "news_headline", 24),
    ("rag", "news_headline", 24),
    ("base", "scholarly_title", 24),
    ("rag", "topic_writing", 8),
    ("base", "abstract_generation", 8),
    ("tam", "news_headline", 24),
    ("oppu", "news_headline", 16),
    ("cope", "scholarly_title", 12),
)


def compared(method: str, task: str, users: int, model: str, folder: Path) -> dict[str, Any]:
    """Seconds of a run as they were planned, and as they were."""
    choices = RunOptions(
        methods=[method], tasks=[task], models=[model], users=users, cache_dir=folder / "cache",
        device="cpu",
    )  # fmt: skip
    profile = calibrate(choices, [{}])
    pool = engine_pool(choices, Progress())
    ((_, plan),) = grid_plans(choices, [{}], folder / "results", pool)
    planned = forecast([plan], replace(profile, start=0.0)).seconds  # this process has started
    began = time.monotonic()
    execute(plan, "benchmark", folder / "results")
    taken = time.monotonic() - began
    assert planned is not None
    row = {"method": method, "task": task, "users": users, "planned": round(planned, 2),
           "taken": round(taken, 2), "ratio": round(planned / taken, 3)}  # fmt: skip
    print(json.dumps(row), file=sys.stderr)
    return row


def main() -> None:
    """Compare, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled-small")
    parser.add_argument("--only", type=int, action="append", help="this kind, from 0; repeatable")
    given = parser.parse_args()
    time.monotonic = time.process_time
    rows = []
    for number in given.only or range(len(KINDS)):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(compared(*KINDS[number], given.model, Path(folder)))
    print(json.dumps({"model": given.model, "runs": rows}, indent=1))


if __name__ == "__main__":
    main()
