"""Per-query scores of predictions."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lampbench.metrics.meteor import meteor_scorer
from lampbench.metrics.output import count_words, repetition
from lampbench.metrics.rouge import rouge_scorer


def iter_scores(predictions: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row for each row of `predictions.jsonl`, in order, each as soon as it stands.

    Reads `user`, `query`, `prediction`, `reference` and `clipped`. Prediction and reference are
    stripped of outer white space first, as LaMP's evaluation does. Where the reference is None
    (withheld), every metric that compares is None; `meteor` is None throughout where
    `meteor_missing` says so.
    """
    rouge, meteor = rouge_scorer(), meteor_scorer()
    for row in predictions:
        prediction = row["prediction"].strip()
        reference = None if row["reference"] is None else row["reference"].strip()
        overlap: dict[str, float | None] = {"rouge1": None, "rougeL": None, "meteor": None}
        if reference is not None:
            overlap.update(rouge(prediction, reference))
            overlap["meteor"] = meteor(prediction, reference) if meteor else None
        yield {
            "user": row["user"],
            "query": row["query"],
            **overlap,
            "words": count_words(prediction),
            "reference_words": None if reference is None else count_words(reference),
            "clipped": bool(row["clipped"]),
            "repetition": repetition(prediction),
        }


def score_predictions(predictions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All rows of `iter_scores`."""
    return list(iter_scores(predictions))
