"""How near `lampbench plan` comes to what runs then take: eight runs of different kinds.

    OMP_NUM_THREADS=1 python -m benchmarks.plan_accuracy

Each kind has a process of its own, in which it is calibrated, planned and run in turn. Seconds are
those of the processor, of all workers too, and not of the clock, so that other work on the machine
does not count. Studies of one process have one core: with more of them, scoring starts processes
where the clock says that this pays.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lampbench import api
from lampbench.study.calibrate import calibrate
from lampbench.study.forecast import forecast


@dataclass(frozen=True, slots=True)
class StudyKind:
    """A study: a method on a task for some test users, at every point of a grid."""

    method: str
    task: str
    users: int
    grid: Mapping[str, Sequence[float]] = field(default_factory=dict)
    workers: int = 1


KINDS = (
    StudyKind("base", "news_headline", 55),
    StudyKind("rag", "news_headline", 55),
    StudyKind("base", "abstract_generation", 60),
    StudyKind("tam", "scholarly_title", 16),
    StudyKind("oppu", "scholarly_title", 20),
    StudyKind("cope", "scholarly_title", 16),
    StudyKind("oppu_cd", "news_headline", 8, {"decoding.alpha": (0.1, 0.3, 0.5)}),
    StudyKind("oppu", "news_headline", 16, workers=2),
)


def compared(kind: StudyKind, model: str, folder: Path) -> dict[str, Any]:
    """Seconds of a study as they were planned, and as they were."""
    settings: Any = {"users": kind.users, "device": "cpu", "cache_dir": folder / "cache"}
    place: Any = {"models": [model], "results": folder / "results"}
    grid = dict(kind.grid)
    several = kind.workers > 1
    choices = api.options(kind.method, kind.task, models=[model], **settings)
    clock, time.monotonic = time.monotonic, time.process_time
    profile = calibrate(choices, [{}], before=time.process_time())
    time.monotonic = clock
    if not several:
        profile = replace(profile, start=0.0)  # this process has started
    plans = api.plan(kind.method, kind.task, grid=grid, **place, **settings)
    planned = forecast(plans, profile, workers=kind.workers)
    began = processor_seconds()
    workers = kind.workers if several else None
    api.sweep(kind.method, kind.task, grid, workers=workers, **place, **settings)
    taken = processor_seconds() - began
    assert planned.work is not None
    stages = [
        [one.run, one.stage, round(one.seconds, 2)]
        for one in planned.stages
        if one.seconds is not None
    ]
    return {
        "method": kind.method, "task": kind.task, "users": kind.users, "runs": len(plans),
        "workers": kind.workers, "planned": round(planned.work, 2), "taken": round(taken, 2),
        "ratio": round(planned.work / taken, 3), "stages": stages, "start": round(profile.start, 2),
    }  # fmt: skip


def processor_seconds() -> float:
    """Processor seconds of this process, and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Compare, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="bundled-small")
    parser.add_argument("--only", type=int, help="this kind, from 0, in this process")
    given = parser.parse_args()
    if given.only is not None:
        if KINDS[given.only].workers == 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(compared(KINDS[given.only], given.model, Path(folder))))
        return
    rows = []
    for number in range(len(KINDS)):
        command = [sys.executable, "-m", "benchmarks.plan_accuracy", "--model", given.model]
        done = subprocess.run(
            [*command, "--only", str(number)], stdout=subprocess.PIPE, text=True, check=True
        )
        print(done.stdout, file=sys.stderr, end="")
        rows.append(json.loads(done.stdout))
    print(json.dumps({"model": given.model, "runs": rows}, indent=1))


if __name__ == "__main__":
    main()
