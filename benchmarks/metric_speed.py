"""Speed of scoring predictions of LongLaMP's length: on all cores, compared with one process."""

import os
import random
from pathlib import Path

import click
import torch

from benchmarks import timing
from benchmarks.results_file import RESULTS, write_results
from lampbench.scoring import PredictionRow, iter_scores, score_predictions


@click.command()
@click.option("--predictions", default=10_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULTS)
def main(predictions: int, rounds: int, output: Path) -> None:
    """Score made-up texts of 230 words; writes metrics.json."""
    draw = random.Random(0)
    words = [f"word{n}" for n in range(800)]

    def text() -> str:
        return " ".join(draw.choices(words, k=230))

    rows = [
        PredictionRow(f"u{n % 100}", str(n), text(), text(), truncated=False)
        for n in range(predictions)
    ]
    taken = timing.paired(
        {"one": lambda: list(iter_scores(rows)), "all": lambda: score_predictions(rows)},
        rounds,
        torch.device("cpu"),
    )
    results = {
        "all_cores_vs_one": timing.ratio(taken["one"], taken["all"]),
        "predictions_per_second": round(predictions / timing.median(taken["all"])),
    }
    print(results)
    settings = {"predictions": predictions, "words": 230, "cores": os.cpu_count()}
    write_results("metrics", settings, results, output)


if __name__ == "__main__":
    main()
