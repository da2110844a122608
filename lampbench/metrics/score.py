"""Per-query scores of predictions."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import cpu_count
from typing import Any

from lampbench.metrics.meteor import meteor_scorer
from lampbench.metrics.output import count_words, repetition
from lampbench.metrics.rouge import rouge_scorer

Row = Mapping[str, Any]

_PATIENCE = 5.0  # seconds: what starting processes and loading the scoring libraries there costs
_TRIAL = 0.5  # seconds after which it is known how long the rest would take
_CHUNK = 64


def iter_scores(predictions: Iterable[Row]) -> Iterator[dict[str, Any]]:
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


def score_predictions(
    predictions: Iterable[Row], report: Callable[[int], object] | None = None
) -> list[dict[str, Any]]:
    """All rows of `iter_scores`, from as many processes as there are cores where that pays.

    `report` is called with how many rows are scored.
    """
    rows = list(predictions)
    scores: list[dict[str, Any]] = []
    began = time.monotonic()
    for score in _anywhere(rows, began, scores):
        scores.append(score)
        if report is not None:
            report(len(scores))
    return scores


def _anywhere(rows: Sequence[Row], began: float, scores: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Here as long as the rest would be done before other processes had started."""
    cores = cpu_count() or 1
    for score in iter_scores(rows):
        yield score
        passed, done = time.monotonic() - began, len(scores)
        left = passed / done * (len(rows) - done)
        if passed >= _TRIAL and left * (1 - 1 / cores) > _PATIENCE:
            yield from _elsewhere(rows[done:], cores)
            return


def _elsewhere(rows: Sequence[Row], processes: int) -> Iterator[dict[str, Any]]:
    # never forked: this process may hold a model and its threads
    chunks = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            for scores in pool.map(_score_chunk, chunks):
                yield from scores
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _score_chunk(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return list(iter_scores(rows))
