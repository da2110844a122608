"""Scores of answers: per query, and their means over queries and over users.

Definitions, ranges and sources stand in `docs/metrics.md`. Importing this package loads none of
the scoring libraries; scoring does.
"""

from lampbench.metrics.aggregate import aggregate, counts
from lampbench.metrics.catalog import METRICS, Metric
from lampbench.metrics.meteor import meteor_missing
from lampbench.metrics.score import iter_scores, score_predictions

__all__ = [
    "METRICS",
    "Metric",
    "aggregate",
    "counts",
    "iter_scores",
    "meteor_missing",
    "score_predictions",
]
