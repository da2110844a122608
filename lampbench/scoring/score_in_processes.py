"""Scores of all predictions, from several processes where that pays."""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any

from lampbench.plugin.metric import Metric, Value
from lampbench.scoring.metric_values import metric_values
from lampbench.scoring.past_texts import Histories
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score import Scoring, answer_of, score_rows
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.disk_list import DiskList
from lampbench.util.machine import usable_cores

SCORES_IN_MEMORY = 5_000
"""Rows whose scores are kept in memory."""

_STARTING = 3.0  # seconds: what starting processes and loading the scoring libraries there costs
_TRIAL = 0.5  # seconds after which it is known how long the rest would take
_CHUNK = 64
_AHEAD = 4  # chunks that each process is given before the first of them is waited for


def score_predictions(
    predictions: Iterable[PredictionRow],
    report: Callable[[int], object] | None = None,
    scoring: Scoring | None = None,
) -> ScoreTable:
    """All rows of `iter_scores`, from as many processes as there are cores where that pays.

    `report` is called with how many rows are scored. The scores of more than `SCORES_IN_MEMORY`
    rows are on disk. Batched metrics follow in this process, and have all answers in memory. A
    script that calls this for thousands of rows does so under `if __name__ == "__main__"`, as for
    every pool of Python's.
    """
    rows = predictions if isinstance(predictions, Sequence) else list(predictions)
    scoring = scoring or Scoring()
    metrics = scoring.load()
    columns: dict[str, DiskList[Value]] = {m.name: DiskList() for m in metrics if not m.batched}
    with closing(_anywhere(rows, scoring, metrics)) as scored:
        for done, score in enumerate(scored, start=1):
            for name, column in columns.items():
                column.append(score[name])
            if report is not None:
                report(done)
    for metric in metrics:
        if metric.batched:
            answers = [answer_of(row, scoring) for row in rows]
            columns[metric.name] = DiskList(metric_values(metric, answers))
    users, queries = DiskList(row.user for row in rows), DiskList(row.query for row in rows)
    if len(rows) > SCORES_IN_MEMORY:
        return ScoreTable(users, queries, columns)
    in_memory = {name: tuple(column) for name, column in columns.items()}
    return ScoreTable(tuple(users), tuple(queries), in_memory)


def _anywhere(
    rows: Sequence[PredictionRow], scoring: Scoring, metrics: Sequence[Metric]
) -> Generator[dict[str, Any], None, None]:
    """Here as long as the rest would be done before other processes had started."""
    cores = usable_cores()
    began = 0.0
    for done, score in enumerate(score_rows(rows, scoring, metrics)):
        yield score
        began = began or time.monotonic()  # the first score loads the libraries
        passed = time.monotonic() - began
        if passed >= _TRIAL:
            left = passed / max(done, 1) * (len(rows) - done - 1)
            if left * (1 - 1 / cores) > _STARTING:
                yield from _elsewhere(rows[done + 1 :], cores, scoring)
                return


def _elsewhere(
    rows: Sequence[PredictionRow], processes: int, scoring: Scoring
) -> Iterator[dict[str, Any]]:
    # never forked: this process may hold a model and its threads
    chunks = _chunks(rows, scoring.histories)
    workers, context = min(processes, -(-len(rows) // _CHUNK)), get_context("spawn")
    without = replace(scoring, histories=None)
    with ProcessPoolExecutor(workers, context, _start_worker, (without,)) as pool:
        try:
            asked: deque[Future[list[dict[str, Any]]]] = deque()
            free = workers * _AHEAD
            while True:
                with _no_interrupt():
                    asked.extend(pool.submit(_score_chunk, *one) for one in islice(chunks, free))
                if not asked:
                    break
                yield from asked.popleft().result()
                free = 1
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _chunks(
    rows: Sequence[PredictionRow], known: Histories | None
) -> Iterator[tuple[list[PredictionRow], Histories | None]]:
    """Rows in lists of a few, each with the histories of its users."""
    rest = iter(rows)
    while some := list(islice(rest, _CHUNK)):
        if known is None:
            yield some, None
        else:
            texts = {row.user: known.get(row.user) for row in some}
            yield some, {user: text for user, text in texts.items() if text is not None}


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


_worker: tuple[Scoring, list[Metric]] | None = None
"""What a worker computes, set when its process starts."""


def _start_worker(scoring: Scoring) -> None:
    global _worker
    _end_with_parent()
    _worker = scoring, scoring.load()


def _score_chunk(rows: Sequence[PredictionRow], known: Histories | None) -> list[dict[str, Any]]:
    assert _worker is not None
    scoring, metrics = _worker
    return list(score_rows(rows, replace(scoring, histories=known), metrics))
