"""Decoding of 64 users beside the speed that is asked for: six minutes on two idle cores.

Contrastive decoding only, in paired rounds in one process. The last line of the output is one JSON
object; the exit code is 1 if a target in float32 is missed.
"""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks import decoding
from benchmarks.workloads import SHAPES, Workload

SMOLLM2 = "smollm2-135m-shape"


@dataclass(frozen=True, slots=True)
class Target:
    """How many times as fast as each peer a model has to be, with answers of a shape's lengths.

    The reference engine answers `alone` of the users; what it takes is scaled to all of them.
    """

    model: str
    shape: str
    dtype: str
    vs_reference: float
    vs_peft_mixed: float
    alone: int


TARGETS = (
    Target("bundled", "abstract", "float32", 30.0, 6.0, alone=2),
    Target(SMOLLM2, "news", "float32", 9.0, 1.5, alone=2),
    Target(SMOLLM2, "news", "bfloat16", 9.0, 1.5, alone=2),
)


@click.command()
@click.option("--users", default=64, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Rounds that are measured.")
@click.option(
    "--only", type=click.Choice([each.model for each in TARGETS[:2]]), help="This model alone."
)
def main(users: int, rounds: int, only: str | None) -> None:
    """Measure each target's ratios, and say whether they are reached."""
    summary: dict[str, Any] = {}
    missed = False
    for target in TARGETS:
        if only not in (None, target.model):
            continue
        title = f"{target.model}, {target.dtype}, {target.shape}, {users} users"
        print(title, file=sys.stderr)
        found = _measure(target, users, rounds)
        print(f"{title}: {found}", flush=True)
        summary[title] = {}
        for peer in ("vs_reference", "vs_peft_mixed"):
            asked, reached = getattr(target, peer), found[peer]["median"]
            summary[title][peer] = {"asked": asked, "reached": reached}
            missed = missed or (target.dtype == "float32" and reached < asked)
        summary[title]["of_roofline"] = found["of_roofline"]
    print(json.dumps(summary))
    sys.exit(1 if missed else 0)


def _measure(target: Target, users: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        work = Workload(target.model, users, Path(home), dtype=target.dtype)
        shape = SHAPES[target.shape]
        return decoding.compare(work, "contrastive", shape, users, rounds, target.alone)


if __name__ == "__main__":
    main()
