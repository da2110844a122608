"""Scoring predictions of LongLaMP's length: one process against all cores."""

import os
import random
from pathlib import Path

import click
import torch

from benchmarks import harness
from lampbench.scoring import PredictionRow, iter_scores, score_predictions


@click.command()
@click.option("--predictions", default=10_000, show_default=True)
@click.option("--pairs", default=3, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=harness.RESULTS)
def main(predictions: int, pairs: int, output: Path) -> None:
    """Score made-up texts of 230 words; writes metrics.json."""
    draw = random.Random(0)
    words = [f"word{n}" for n in range(800)]

    def text() -> str:
        return " ".join(draw.choices(words, k=230))

    rows = [
        PredictionRow(f"u{n % 100}", str(n), text(), text(), truncated=False)
        for n in range(predictions)
    ]
    taken = harness.paired(
        {"one": lambda: list(iter_scores(rows)), "all": lambda: score_predictions(rows)},
        pairs,
        torch.device("cpu"),
    )
    results = {
        "all_cores_vs_one": harness.ratio(taken["one"], taken["all"]),
        "predictions_per_second": round(predictions / harness.median(taken["all"])),
    }
    print(results)
    settings = {"predictions": predictions, "words": 230, "cores": os.cpu_count()}
    harness.write("metrics", settings, results, output)


if __name__ == "__main__":
    main()
