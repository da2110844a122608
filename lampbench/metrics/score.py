"""Per-query scores of predictions."""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from lampbench.machine import usable_cores
from lampbench.metrics.meteor import meteor_scorer
from lampbench.metrics.output import count_words, repetition
from lampbench.metrics.rouge import rouge_scorer

Row = Mapping[str, Any]

_STARTING = 3.0  # seconds: what starting processes and loading the scoring libraries there costs
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

    `report` is called with how many rows are scored. A script that calls this for thousands of
    rows does so under `if __name__ == "__main__"`, as for every pool of Python's.
    """
    rows = list(predictions)
    scores: list[dict[str, Any]] = []
    with closing(_anywhere(rows)) as scored:
        for score in scored:
            scores.append(score)
            if report is not None:
                report(len(scores))
    return scores


def _anywhere(rows: Sequence[Row]) -> Generator[dict[str, Any], None, None]:
    """Here as long as the rest would be done before other processes had started."""
    cores = usable_cores()
    began = 0.0
    for done, score in enumerate(iter_scores(rows)):
        yield score
        began = began or time.monotonic()  # the first score loads the libraries
        passed = time.monotonic() - began
        if passed >= _TRIAL:
            left = passed / max(done, 1) * (len(rows) - done - 1)
            if left * (1 - 1 / cores) > _STARTING:
                yield from _elsewhere(rows[done + 1 :], cores)
                return


def _elsewhere(rows: Sequence[Row], processes: int) -> Iterator[dict[str, Any]]:
    # never forked: this process may hold a model and its threads
    chunks = [rows[i : i + _CHUNK] for i in range(0, len(rows), _CHUNK)]
    workers, context = min(processes, len(chunks)), get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_end_with_parent) as pool:
        try:
            with _no_interrupt():
                scored = pool.map(_score_chunk, chunks)
            for scores in scored:
                yield from scores
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Processes started here never see Ctrl-C; this one sees it afterwards, and ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """A worker whose parent is killed would wait for ever."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _score_chunk(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return list(iter_scores(rows))
