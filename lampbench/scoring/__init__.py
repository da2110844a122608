"""Scores of answers: per query, and their means over queries and over users.

Definitions, ranges and sources are in `docs/metrics.md`. Importing this package loads none of
the scoring libraries; scoring does.
"""

from lampbench.scoring.aggregate import Counts, Means, aggregate, counts
from lampbench.scoring.catalog import CONTROLS, METRICS
from lampbench.scoring.past_texts import Histories, HistoriesInOrder, histories
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score import Scoring, ScoringDescription, iter_scores
from lampbench.scoring.score_in_processes import score_predictions
from lampbench.scoring.score_table import ScoreTable

__all__ = [
    "CONTROLS",
    "METRICS",
    "Counts",
    "Histories",
    "HistoriesInOrder",
    "Means",
    "PredictionRow",
    "ScoreTable",
    "Scoring",
    "ScoringDescription",
    "aggregate",
    "counts",
    "histories",
    "iter_scores",
    "score_predictions",
]
