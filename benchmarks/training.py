"""Training: many users at once against one at a time, PEFT's way and ours."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import harness, roofline
from benchmarks.workloads import MODELS, SHAPES, Workload
from lampbench.engine import adapter_files

CLOSE, RARE = 1e-5, 1e-4
"""Adam divides each gradient by its own size: a number whose gradient is all rounding moves by a
whole step in a direction that rounding decides. So one in ten thousand may be further apart."""


def compare(
    work: Workload, operation: str, shape: str, users: int, pairs: int, batch: int, alone: int
) -> dict[str, Any]:
    """Ratios of training `users` adapters on two batches of records each.

    "reference" is one user at a time through PEFT in a plain loop (no trainer's start-up is held
    against it), "alone" our own engine given one job at a time. Both train the first `alone`
    users, and their seconds count `users / alone` times.

    Raises:
        SystemExit: more than one in 10,000 of an adapter's numbers differs from the reference's by
            more than 1e-5 (float32).
    """
    prompt, answer = SHAPES[shape]
    few = min(alone, users)

    def at_once(engine: Any, place: str, count: int) -> Callable[[], None]:
        def train() -> None:
            shutil.rmtree(work.home / "trained" / place, ignore_errors=True)
            jobs = work.jobs(operation, prompt, answer, 2 * batch, batch, place, count)
            list(engine.train(jobs, _nothing))

        return train

    def one_by_one(place: str, count: int) -> Callable[[], None]:
        def train() -> None:
            shutil.rmtree(work.home / "trained" / place, ignore_errors=True)
            for job in work.jobs(operation, prompt, answer, 2 * batch, batch, place, count):
                list(work.ours.train([job], _nothing))

        return train

    work.jobs(operation, prompt, answer, 2, batch, "adapters")  # written before the clock runs
    for warm in (at_once(work.reference, "reference", 1), one_by_one("alone", 1)):
        warm()
    taken = harness.paired(
        {
            "reference": at_once(work.reference, "reference", few),
            "alone": one_by_one("alone", few),
            "ours": at_once(work.ours, "ours", users),
        },
        pairs,
        work.ours.device,
    )
    apart = torch.cat([_apart(work, i) for i in range(few)])
    share = float((apart > CLOSE).float().mean())
    if work.dtype == "float32" and share > RARE:
        raise SystemExit(f"{operation}: {share:.1%} of the adapters' numbers are apart")
    spent = harness.median(taken["ours"])
    jobs = work.jobs(operation, prompt, answer, 2 * batch, batch, "ours", users)
    return {
        "vs_reference": harness.ratio(taken["reference"], taken["ours"], users / few),
        "vs_ours_alone": harness.ratio(taken["alone"], taken["ours"], users / few),
        "examples_per_second": round(users * 2 * batch / spent, 1),
        "seconds": round(spent, 3),
        "largest_difference": float(apart.max()),
        "share_that_differs": share,
        "peak_bytes": harness.peak_memory(work.ours.device),
        "of_roofline": roofline.trained_share(work, jobs, spent),
    }


def _apart(work: Workload, user: int) -> torch.Tensor:
    """Differences between the numbers of ours and of the reference's adapter of a user."""
    ours, theirs = (
        adapter_files.read(
            work.home / "trained" / place / str(user) / "adapter", work.ours._model, work.ours._base
        ).layers
        for place in ("ours", "reference")
    )
    return torch.cat(
        [
            (a - b).abs().flatten()
            for name in ours
            for a, b in zip(ours[name], theirs[name], strict=True)
        ]
    )


def _nothing(*_: object) -> None:
    pass


@click.command()
@click.option("--model", type=click.Choice(["bundled", *MODELS]), default="bundled")
@click.option("--users", multiple=True, type=int, default=(1, 8, 32), show_default=True)
@click.option("--shape", multiple=True, type=click.Choice(list(SHAPES)), default=("news", "title"))
@click.option("--batch", multiple=True, type=int, default=(1, 4), show_default=True)
@click.option("--pairs", default=3, show_default=True, help="Rounds that count.")
@click.option("--alone", default=4, show_default=True, help="Users trained one at a time.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=harness.RESULTS)
def main(
    model: str,
    users: tuple[int, ...],
    shape: tuple[str, ...],
    batch: tuple[int, ...],
    pairs: int,
    alone: int,
    device: str,
    dtype: str,
    output: Path,
) -> None:
    """Compare training at several numbers of users and batch sizes; writes training-MODEL.json."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        work = Workload(model, max(users), Path(home), device, dtype)
        for name in shape:
            for size in batch:
                for count in users:
                    for operation in ("sft", "dpo"):
                        place = f"{operation}, {name}, batch {size}, {count} users"
                        print(place, file=sys.stderr)
                        found = compare(work, operation, name, count, pairs, size, alone)
                        results[place] = found
                        print(f"{place}: {found}", flush=True)
    settings = {"model": model, "device": device, "dtype": dtype, "pairs": pairs, "alone": alone,
                "threads": torch.get_num_threads(), "shapes": SHAPES}  # fmt: skip
    harness.write(f"training-{model}", settings, results, output)


if __name__ == "__main__":
    main()
