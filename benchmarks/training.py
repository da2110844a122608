"""Training: many users at once, compared with one at a time by the reference engine and by ours."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import roofline, timing
from benchmarks.results_file import RESULTS, write_results
from benchmarks.workloads import MODELS, SHAPES, Workload
from lampbench.engine.adapter_files import read_adapter

CLOSE, RARE = 1e-5, 1e-4
"""Adam divides each gradient by its own size, so a number whose gradient is only rounding moves by
a whole step in a random direction: one in ten thousand may differ by more than CLOSE."""


def compare(
    work: Workload,
    operation: str,
    lengths: tuple[int, int],
    users: int,
    rounds: int,
    batch: int,
    alone: int,
) -> dict[str, Any]:
    """Ratios of training `users` adapters on two batches of records each.

    `lengths` are the tokens of prompt and response.

    "reference" is the reference engine, "alone" is our engine with one job at a time. Both train
    the first `alone` users only, and their seconds count `users / alone` times.

    Raises:
        SystemExit: in float32, more than one in 10,000 of the adapters' numbers differ from the
            reference's by more than 1e-5.
    """
    prompt, answer = lengths
    few = min(alone, users)

    def at_once(engine: Any, folder: str, count: int) -> Callable[[], None]:
        def train() -> None:
            shutil.rmtree(work.home / "trained" / folder, ignore_errors=True)
            jobs = work.jobs(operation, prompt, answer, 2 * batch, batch, folder, count)
            list(engine.train(jobs, _ignore))

        return train

    def one_by_one(folder: str, count: int) -> Callable[[], None]:
        def train() -> None:
            shutil.rmtree(work.home / "trained" / folder, ignore_errors=True)
            for job in work.jobs(operation, prompt, answer, 2 * batch, batch, folder, count):
                list(work.batched.train([job], _ignore))

        return train

    work.jobs(operation, prompt, answer, 2, batch, "adapters")  # writes them before the clock runs
    for warm in (at_once(work.reference, "reference", 1), one_by_one("alone", 1)):
        warm()
    taken = timing.paired(
        {
            "reference": at_once(work.reference, "reference", few),
            "alone": one_by_one("alone", few),
            "ours": at_once(work.batched, "ours", users),
        },
        rounds,
        work.batched.device,
    )
    apart = torch.cat([_apart(work, i) for i in range(few)])
    share = float((apart > CLOSE).float().mean())
    if work.dtype == "float32" and share > RARE:
        raise SystemExit(
            f"{operation}: {share:.1%} of the adapters' numbers differ from the reference's"
        )
    spent = timing.median(taken["ours"])
    jobs = work.jobs(operation, prompt, answer, 2 * batch, batch, "ours", users)
    return {
        "vs_reference": timing.ratio(taken["reference"], taken["ours"], users / few),
        "vs_ours_alone": timing.ratio(taken["alone"], taken["ours"], users / few),
        "examples_per_second": round(users * 2 * batch / spent, 1),
        "seconds": round(spent, 3),
        "largest_difference": float(apart.max()),
        "share_that_differs": share,
        "peak_bytes": timing.peak_memory(work.batched.device),
        "of_roofline": roofline.trained_share(work, jobs, spent),
    }


def _apart(work: Workload, user: int) -> torch.Tensor:
    """Absolute differences between a user's adapter of ours and of the reference engine."""
    ours, theirs = (
        read_adapter(
            work.home / "trained" / folder / str(user) / "adapter",
            work.batched._model,
            work.batched._base,
        ).matrices
        for folder in ("ours", "reference")
    )
    return torch.cat(
        [
            (a - b).abs().flatten()
            for name in ours
            for a, b in zip(ours[name], theirs[name], strict=True)
        ]
    )


def _ignore(*_: object) -> None:
    pass


@click.command()
@click.option("--model", type=click.Choice(["bundled", *MODELS]), default="bundled")
@click.option("--users", multiple=True, type=int, default=(1, 8, 32), show_default=True)
@click.option("--shape", multiple=True, type=click.Choice(list(SHAPES)), default=("news", "title"))
@click.option("--batch", multiple=True, type=int, default=(1, 4), show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Rounds that are measured.")
@click.option("--alone", default=4, show_default=True, help="Users that are trained one at a time.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(
    model: str,
    users: tuple[int, ...],
    shape: tuple[str, ...],
    batch: tuple[int, ...],
    rounds: int,
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
                        title = f"{operation}, {name}, batch {size}, {count} users"
                        print(title, file=sys.stderr)
                        found = compare(work, operation, SHAPES[name], count, rounds, size, alone)
                        results[title] = found
                        print(f"{title}: {found}", flush=True)
    settings = {"model": model, "device": device, "dtype": dtype, "rounds": rounds, "alone": alone,
                "threads": torch.get_num_threads(), "shapes": SHAPES}  # fmt: skip
    write_results(f"training-{model}", settings, results, output)


if __name__ == "__main__":
    main()
