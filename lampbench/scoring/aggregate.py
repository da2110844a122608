"""Numbers of runs, from the scores of queries. Loads no library, so that reports can use it."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lampbench.plugin.metric import Metric, Value
from lampbench.scoring.catalog import METRICS, find_metric
from lampbench.scoring.score_table import ScoreTable


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
    """
    order = [name for name in METRICS if name in scores.columns]
    order += sorted(scores.columns.keys() - set(METRICS))
    scored = scores.has_reference()
    given = {metric.name: metric for metric in metrics}
    return {
        name: _summary(given.get(name) or find_metric(name), scores.columns[name], scored)
        if name in pooled
        else _means(scores.columns[name], scores.users, scored)
        for name in order
    }


def counts(scores: ScoreTable) -> Counts:
    """How many users and queries there are."""
    pairs = list(zip(scores.users, scores.has_reference(), strict=True))
    return Counts(
        users=len(set(scores.users)),
        queries=len(scores),
        scored_users=len({user for user, scored in pairs if scored}),
        scored_queries=sum(scored for _, scored in pairs),
    )


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean, independent of order; `values` must not be empty."""
    listed = list(values)
    return math.fsum(listed) / len(listed)


def _summary(metric: Metric | None, values: Sequence[Value], scored: Sequence[bool]) -> Means:
    known = [float(value) for value in values if value is not None]
    gaps = any(v is None and compared for v, compared in zip(values, scored, strict=True))
    if metric is None or not known or gaps:
        return Means(None, None)
    return Means(float(metric.summary(known, [1 / len(known)] * len(known))), None)


def _means(values: Sequence[Value], users: Sequence[str], scored: Sequence[bool]) -> Means:
    by_user: dict[str, list[float]] = defaultdict(list)
    for value, user, has_reference in zip(values, users, scored, strict=True):
        if value is not None:
            by_user[user].append(float(value))
        elif has_reference:
            return Means(None, None)
    if not by_user:
        return Means(None, None)
    return Means(
        queries=mean(value for values in by_user.values() for value in values),
        users=mean(mean(values) for values in by_user.values()),
    )
