"""What `batch_invariant` costs: the batched engine with it, compared with the same without it."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import timing
from benchmarks.results_file import RESULTS, write_results
from benchmarks.workloads import MODELS, SHAPES, Workload
from lampbench.engine.batched.engine import BatchedEngine
from lampbench.engine.protocol import ScoreRequest

OPERATIONS = ("greedy", "contrastive", "score", "sft", "dpo")
BATCH, CANDIDATES = 4, 3


def price(work: Workload, operation: str, shape: str, users: int, rounds: int) -> dict[str, Any]:
    """Processor time with `batch_invariant` divided by that without it.

    A user has one query, three responses to be scored, or four records that are one batch.
    """
    engines = {"default": work.batched, "invariant": work.invariant}
    works = {name: _work(work, engine, name, operation, shape, users)
             for name, engine in engines.items()}  # fmt: skip
    for warm in works.values():
        warm()
    taken = timing.paired(works, rounds, work.batched.device, timing.processor_seconds)
    return timing.ratio(taken["invariant"], taken["default"])


def _work(
    work: Workload, engine: BatchedEngine, name: str, operation: str, shape: str, users: int
) -> Callable[[], object]:
    prompt, answer = SHAPES[shape]
    if operation in ("sft", "dpo"):

        def train() -> None:
            shutil.rmtree(work.home / "trained" / name, ignore_errors=True)
            jobs = work.jobs(operation, prompt, answer, BATCH, BATCH, name, users)
            list(engine.train(jobs, lambda *_: None))

        return train
    asked = work.requests("greedy" if operation == "score" else operation, prompt, answer, users)
    if operation != "score":
        return lambda: list(engine.generate(asked))
    texts = ["storm coast town " * (answer // (3 + n)) for n in range(CANDIDATES)]
    scores = [ScoreRequest(f"{r.id}/{n}", r.prompt, text, r.weights)
              for r in asked for n, text in enumerate(texts)]  # fmt: skip
    return lambda: list(engine.score(scores))


@click.command()
@click.option("--model", type=click.Choice(["bundled", *MODELS]), default="bundled")
@click.option("--operation", multiple=True, type=click.Choice(OPERATIONS), default=OPERATIONS)
@click.option("--shape", multiple=True, type=click.Choice(list(SHAPES)), default=("news",))
@click.option("--users", multiple=True, type=int, default=(1, 8, 64), show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Rounds that are measured.")
@click.option("--dtype", default="bfloat16", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(
    model: str,
    operation: tuple[str, ...],
    shape: tuple[str, ...],
    users: tuple[int, ...],
    rounds: int,
    dtype: str,
    output: Path,
) -> None:
    """Compare at several numbers of users, on one core; writes batch-invariance-MODEL.json."""
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        work = Workload(model, max(users), Path(home), dtype=dtype)
        for kind in operation:
            for length in shape:
                for count in users:
                    found = price(work, kind, length, count, rounds)
                    results[f"{kind} {length} {count}"] = found
                    print(f"{kind} {length} {count}: {found}", file=sys.stderr)
    settings = {"model": model, "dtype": dtype, "threads": 1, "rounds": rounds, "batch": BATCH}
    write_results(f"batch-invariance-{model}", settings, results, output)


if __name__ == "__main__":
    main()
