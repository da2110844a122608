"""Numbers of runs, from the scores of queries. Loads no library, so that reports can use it."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from lampbench.plugin.metric import Metric, Value
from lampbench.scoring.catalog import METRICS, find_metric
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.bounds import LARGEST_SCORE
from lampbench.util.errors import LampbenchError, short_repr

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Means:
    """A metric's mean over queries, and the mean over users of each user's mean.

    Of a metric that is no mean, `queries` is its number over all queries, and `users` is None.
    """

    queries: float | None
    users: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Users and queries in all, and how many of them have a reference to be scored against."""

    users: int
    queries: int
    scored_users: int
    scored_queries: int


def aggregate(
    scores: ScoreTable, pooled: Collection[str] = (), metrics: Iterable[Metric] = ()
) -> dict[str, Means]:
    """The means of each metric, in the order of tables.

    The `pooled` metrics are no means: their own code makes a number of the scores. `metrics` has
    those of plugins that are not found by name; where a metric is in neither, its number is None.

    Queries without a reference take no part in metrics that compare. A metric without a value
    on any other query is None as a whole: a mean is always over all queries that it claims.
    Sums are exact before rounding (`math.fsum`), so the order of rows does not matter.

    Raises:
        LampbenchError: a pooled metric gave no finite number.
    """
    order = [name for name in METRICS if name in scores.columns]
    order += sorted(scores.columns.keys() - set(METRICS))
    given = {metric.name: metric for metric in metrics}
    together = scores.by_user()
    found = {}
    for name in order:
        if _has_gaps(scores, name):
            found[name] = Means(None, None)
        elif name in pooled:
            found[name] = _summary(given.get(name) or find_metric(name), scores.columns[name])
        else:
            found[name] = _means(scores, name, together=together)
    return found


def counts(scores: ScoreTable) -> Counts:
    """How many users and queries there are."""
    users = scored_users = scored_queries = 0
    pairs = zip(scores.users, scores.has_reference(), strict=True)
    for scored in _by_user(pairs, together=scores.by_user()):
        users += 1
        scored_users += any(scored)
        scored_queries += sum(scored)
    return Counts(users, len(scores), scored_users, scored_queries)


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean, independent of order; `values` must not be empty."""
    count = 0

    def counted() -> Iterator[float]:
        nonlocal count
        for value in values:
            count += 1
            yield value

    total = math.fsum(counted())
    return total / count


def _has_gaps(scores: ScoreTable, name: str) -> bool:
    """Whether a metric lacks the value of a query with a reference."""
    pairs = zip(scores.columns[name], scores.has_reference(), strict=True)
    return any(value is None and compared for value, compared in pairs)


def _summary(metric: Metric | None, values: Sequence[Value]) -> Means:
    known = [float(value) for value in values if value is not None]
    if metric is None or not known:
        return Means(None, None)
    found = metric.summary(known, [1 / len(known)] * len(known))
    try:
        number = float(found)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not -LARGEST_SCORE <= number <= LARGEST_SCORE:  # true for NaN
        raise LampbenchError(
            f"metric {metric.name} gave {short_repr(found)} for all answers of a run: fix its "
            f"summary() to give a number from {-LARGEST_SCORE:g} to {LARGEST_SCORE:g}"
        )
    return Means(number, None)


def _means(scores: ScoreTable, name: str, *, together: bool) -> Means:
    values = scores.columns[name]
    if all(value is None for value in values):
        return Means(None, None)
    pairs = zip(scores.users, values, strict=True)
    known = ((user, float(value)) for user, value in pairs if value is not None)
    return Means(
        queries=mean(float(value) for value in values if value is not None),
        users=mean(mean(each) for each in _by_user(known, together=together)),
    )


def _by_user(pairs: Iterable[tuple[str, T]], *, together: bool) -> Iterator[list[T]]:
    """Each user's values; of users whose rows are `together` one at a time is in memory."""
    if together:
        for _, rows in groupby(pairs, itemgetter(0)):
            yield [value for _, value in rows]
    else:
        found: dict[str, list[T]] = {}
        for user, value in pairs:
            found.setdefault(user, []).append(value)
        yield from found.values()
