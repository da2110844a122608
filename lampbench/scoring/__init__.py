"""Scores of answers: per query, and their means over queries and over users.

Definitions, ranges and sources stand in `docs/metrics.md`. Importing this package loads none of
the scoring libraries; scoring does.
"""

from lampbench.scoring.aggregate import aggregate, counts
from lampbench.scoring.catalog import CONTROLS, METRICS
from lampbench.scoring.score import Scoring, histories, iter_scores, score_predictions

__all__ = [
    "CONTROLS",
    "METRICS",
    "Scoring",
    "aggregate",
    "counts",
    "histories",
    "iter_scores",
    "score_predictions",
]
