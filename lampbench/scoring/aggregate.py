"""Means of per-query scores. Needs no library, so that reports can use it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lampbench.scoring.catalog import METRICS

NOT_METRICS = ("user", "query")


def aggregate(scores: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """For each metric its mean over queries and the mean over users of each user's mean.

    Queries without a reference take no part in metrics that compare. A metric that lacks a value
    on any other query is None as a whole: a mean never stands for fewer queries than it seems to.
    Sums are exact before rounding (`math.fsum`), so the order of rows does not matter.
    """
    found = {name for row in scores for name in row if name not in NOT_METRICS}
    order = [name for name in METRICS if name in found]
    order += sorted(found - set(METRICS))
    return {name: _means(name, scores) for name in order}


def counts(scores: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Users and queries in all, and how many of them have a reference to be scored against."""
    scored = [row for row in scores if _has_reference(row)]
    return {
        "users": len({row["user"] for row in scores}),
        "queries": len(scores),
        "scored_users": len({row["user"] for row in scored}),
        "scored_queries": len(scored),
    }


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean, independent of order; `values` must not be empty."""
    listed = list(values)
    return math.fsum(listed) / len(listed)


def _means(name: str, scores: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    by_user: dict[str, list[float]] = defaultdict(list)
    for row in scores:
        value = row.get(name)
        if value is not None:
            by_user[row["user"]].append(float(value))
        elif _has_reference(row):
            by_user.clear()
            break
    if not by_user:
        return {"queries": None, "users": None}
    return {
        "queries": mean(value for values in by_user.values() for value in values),
        "users": mean(mean(values) for values in by_user.values()),
    }


def _has_reference(row: Mapping[str, Any]) -> bool:
    return row.get("reference_words") is not None or row.get("rouge1") is not None
