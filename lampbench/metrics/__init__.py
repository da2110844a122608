"""Scores of answers: per query, and their means over queries and over users.

Definitions, ranges and sources stand in `docs/metrics.md`. Importing this package loads none of
the scoring libraries; scoring does.
"""

from lampbench.metric import Answer, Metric
from lampbench.metrics.aggregate import aggregate, counts
from lampbench.metrics.catalog import CONTROLS, METRICS
from lampbench.metrics.meteor import meteor_missing
from lampbench.metrics.score import Scoring, histories, iter_scores, score_predictions

__all__ = [
    "CONTROLS",
    "METRICS",
    "Answer",
    "Metric",
    "Scoring",
    "aggregate",
    "counts",
    "histories",
    "iter_scores",
    "meteor_missing",
    "score_predictions",
]
