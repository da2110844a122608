"""Texts to score, and processes to score them in."""

import subprocess
import sys
from pathlib import Path

from lampbench.scoring import PredictionRow


def row(prediction, reference, user="u", query="q", truncated=False):
    return PredictionRow(user, query, prediction, reference, truncated=truncated)


def texts(n: int) -> tuple[str, str]:
    import random

    draw = random.Random(n)
    words = [
        "the",
        "a",
        "of",
        "storm",
        "review",
        "Review",
        "film,",
        "plot!",
        "it's",
        "1999",
        "naïve",
        "...",
        "town",
        "to-day",
    ]
    first, second = (" ".join(draw.choices(words, k=draw.randint(0, 60))) for _ in range(2))
    return first, second


def python(code):
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        start_new_session=True,
    )
