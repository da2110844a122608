"""Per-query scores of predictions."""

import math
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from lampbench.plugin.fault import fault_of_plugin
from lampbench.plugin.metric import Answer, Metric, Value
from lampbench.registry import Registry
from lampbench.scoring.catalog import METRICS
from lampbench.scoring.past_texts import Histories
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.disk_list import DiskList
from lampbench.util.errors import LampbenchError
from lampbench.util.machine import releases, usable_cores

SCORES_IN_MEMORY = 5_000
"""Rows whose scores are kept in memory."""

_STARTING = 3.0  # seconds: what starting processes and loading the scoring libraries there costs
_TRIAL = 0.5  # seconds after which it is known how long the rest would take
_CHUNK = 64
_AHEAD = 4  # chunks that each process is given before the first of them is waited for
_PACKAGES = ("rouge-score", "nltk", "sacrebleu")


@dataclass(frozen=True, slots=True)
class ScoringDescription:
    """What scores depend on besides the texts, for the manifest.

    `signatures` are the settings of metrics that have any, `missing` says why a metric could not
    be computed, `versions` are those of the scoring libraries; by name. `pooled` are the metrics
    whose number is no mean of the queries' values (`Metric.summary`).
    """

    signatures: Mapping[str, str]
    missing: Mapping[str, str]
    versions: Mapping[str, str | None]
    pooled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scoring:
    """What is computed, in a form that other processes can load for themselves.

    `metrics` are names that the registry knows, `plugins` where it looks for more. `histories`
    holds the texts that each user wrote before, by user id; a user who is not in it, or all where
    it is None, has no value of a metric that reads history. `choices` are the task's possible
    answers, empty where it has no fixed set.
    """

    metrics: tuple[str, ...] = tuple(METRICS)
    plugins: tuple[Path, ...] = ()
    histories: Histories | None = None
    choices: tuple[str, ...] = ()

    def load(self) -> list[Metric]:
        """The metrics.

        Raises:
            LampbenchError: no metric of that name, or its file is broken.
        """
        registry = Registry(self.plugins)
        return [registry.metric(name) for name in dict.fromkeys(self.metrics)]

    def missing(self) -> dict[str, str]:
        """Why the metrics that cannot be computed here cannot, one line each."""
        found = {metric.name: metric.missing() for metric in self.load()}
        return {name: reason for name, reason in found.items() if reason}

    def describe(self) -> ScoringDescription:
        """What the numbers depend on besides the texts, and what is missing."""
        missing = self.missing()
        usable = [metric for metric in self.load() if metric.name not in missing]
        signatures = {metric.name: sign for metric in usable if (sign := metric.signature())}
        pooled = tuple(metric.name for metric in self.load() if metric.pooled)
        return ScoringDescription(signatures, missing, releases(_PACKAGES), pooled)


def iter_scores(
    predictions: Iterable[PredictionRow], scoring: Scoring | None = None
) -> Iterator[dict[str, Any]]:
    """The scores of each prediction (`user`, `query` and a value for each metric), in order, each
    as soon as it is computed.

    Prediction and reference are stripped of outer white space first, as LaMP's evaluation does.
    Where the reference is None (withheld), every metric that compares is None; a metric is None
    throughout where its `missing` says why.

    Raises:
        LampbenchError: a metric failed, or gave what is no number of its range.
    """
    scoring = scoring or Scoring()
    yield from _scored(predictions, scoring, scoring.load())


def _scored(
    predictions: Iterable[PredictionRow], scoring: Scoring, metrics: Sequence[Metric]
) -> Iterator[dict[str, Any]]:
    metrics = [metric for metric in metrics if not metric.batched]
    missing = {metric.name for metric in metrics if metric.missing() is not None}
    for row in predictions:
        answer = _answer(row, scoring)
        values = {
            metric.name: _value(metric, answer)
            if metric.name not in missing and applies(metric, answer)
            else None
            for metric in metrics
        }
        yield {"user": answer.user, "query": answer.query, **values}


def _answer(row: PredictionRow, scoring: Scoring) -> Answer:
    if row.prediction is None:
        raise ValueError("a private run has no texts that could be scored")
    return Answer(
        user=row.user,
        query=row.query,
        text=row.prediction.strip(),
        reference=None if row.reference is None else row.reference.strip(),
        truncated=row.truncated,
        history=None if scoring.histories is None else scoring.histories.get(row.user),
        choices=scoring.choices,
    )


def applies(metric: Metric, answer: Answer) -> bool:
    """Whether a metric has what it reads."""
    if metric.compares and answer.reference is None:
        return False
    if metric.reads_choices and not answer.choices:
        return False
    return not metric.reads_history or answer.history is not None


def _value(metric: Metric, answer: Answer) -> Value:
    try:
        value = metric.score(answer)
    except LampbenchError:
        raise
    except Exception as error:  # a plugin may fail in any way; the cause is shown
        raise LampbenchError(_failed(metric, answer, error)) from error
    return _checked(metric, answer, value)


def metric_values(metric: Metric, answers: Sequence[Answer]) -> Iterator[Value]:
    """A metric's value for each answer, as in a run: null where it has not what it reads.

    Raises:
        LampbenchError: the metric failed, or gave what is no number of its range.
    """
    if metric.batched:
        yield from _together(metric, answers)
        return
    missing = metric.missing() is not None
    for answer in answers:
        yield None if missing or not applies(metric, answer) else _value(metric, answer)


def _failed(metric: Metric, answer: Answer, error: Exception) -> str:
    what = f"metric {metric.name} failed on query {answer.query!r} of {answer.user!r}"
    if told := fault_of_plugin(error):
        return f"{what} {told}"
    return f"{what}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _checked(metric: Metric, answer: Answer, value: Any) -> Value:
    """A value that can be recorded.

    Raises:
        LampbenchError: no number, not finite, or out of the metric's range.
    """
    if value is None:
        return None
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        high = math.inf if metric.high is None else metric.high
        if metric.low <= value <= high:
            return value
    raise LampbenchError(
        f"metric {metric.name} gave {value!r} for query {answer.query!r} of {answer.user!r}: fix "
        f"it to give a number from {metric.low:g} to {_end(metric)}, or None"
    )


def _end(metric: Metric) -> str:
    return "any height" if metric.high is None else f"{metric.high:g}"


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
            answers = [_answer(row, scoring) for row in rows]
            columns[metric.name] = DiskList(_together(metric, answers))
    users, queries = DiskList(row.user for row in rows), DiskList(row.query for row in rows)
    if len(rows) > SCORES_IN_MEMORY:
        return ScoreTable(users, queries, columns)
    in_memory = {name: tuple(column) for name, column in columns.items()}
    return ScoreTable(tuple(users), tuple(queries), in_memory)


def _together(metric: Metric, answers: Sequence[Answer]) -> Iterator[Value]:
    """A batched metric's value for each answer."""
    asked = [] if metric.missing() else [one for one in answers if applies(metric, one)]
    try:
        found = list(metric.scores(asked)) if asked else []
    except LampbenchError:
        raise
    except Exception as error:
        raise LampbenchError(_failed(metric, asked[0], error)) from error
    if len(found) != len(asked):
        raise LampbenchError(
            f"metric {metric.name} gave {len(found)} values for {len(asked)} answers: fix scores()"
        )
    values = iter(found)
    for one in answers:
        has = bool(asked) and applies(metric, one)
        yield _checked(metric, one, next(values)) if has else None


def _anywhere(
    rows: Sequence[PredictionRow], scoring: Scoring, metrics: Sequence[Metric]
) -> Generator[dict[str, Any], None, None]:
    """Here as long as the rest would be done before other processes had started."""
    cores = usable_cores()
    began = 0.0
    for done, score in enumerate(_scored(rows, scoring, metrics)):
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
    return list(_scored(rows, replace(scoring, histories=known), metrics))
