"""How much scores vary between users, between queries of a user, and between seeds.

A score is modelled as mean + user + query of the user + seed + user by seed + rest, all random.
The estimates are those of an analysis of variance (Henderson 1953, method 1; Searle, Casella and
McCulloch 1992, section 5.3): mean squares are equated with their expectations. They need no
distribution, have no bias, and allow any number of queries per user. Every seed has every query.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lampbench.report.statistics import Scores, grouped_by_user

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lampbench.report.resampling import Floats


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Variances of a score's parts, in squared scores, and how many of each were observed.

    An estimate below zero is 0. With one seed `seed` and `user_seed` are NaN, and `rest`, which is
    then NaN too, is part of `query`. `user` is NaN for a single user, `query` where every user has
    one query and nothing else tells it from the user. `effective_users` is the number of users of
    equal size whose mean would vary as much between users.
    """

    user: float
    query: float
    seed: float
    user_seed: float
    rest: float
    users: int
    queries: int
    seeds: int
    effective_users: float

    def shares(self) -> Mapping[str, float]:
        """Parts of the variance of the mean over queries and seeds, each between 0 and 1.

        `users` can be reduced by more users alone, `queries` by more queries of the same ones,
        `seeds` by more seeds. Parts that cannot be estimated are NaN; so are all where none can be.
        """
        both = self.seeds * self.effective_users
        parts = {
            "users": _sum(self.user / self.effective_users, self.user_seed / both),
            "queries": _sum(self.query / self.queries, self.rest / (self.queries * self.seeds)),
            "seeds": self.seed / self.seeds,
        }
        total = _sum(*parts.values())
        return {name: part / total if total else math.nan for name, part in parts.items()}


def variance_components(by_seed: Mapping[int, Scores]) -> VarianceComponents:
    """The components of scores by (user, query), for each seed.

    Raises:
        ValueError: no scores, or the seeds have scores of different queries.
    """
    if not by_seed:
        raise ValueError("no scores")
    first = next(iter(by_seed.values()))
    if any(scores.keys() != first.keys() for scores in by_seed.values()):
        raise ValueError("seeds with scores of different queries cannot be compared")
    by_user = [grouped_by_user(by_seed[seed]) for seed in sorted(by_seed)]
    sizes = np.asarray([len(scores) for scores in by_user[0]], dtype=np.int_)
    table = np.stack([np.concatenate(scores) for scores in by_user])
    return _estimates(_MeanSquares(table, sizes))


class _MeanSquares:
    """Mean squares of a table of seeds (rows) by queries (columns), those of one user together."""

    def __init__(self, table: "Floats", sizes: "NDArray[np.int_]") -> None:
        self.seeds, self.queries = table.shape
        self.sizes, self.users = sizes, len(sizes)
        starts = np.cumsum(sizes) - sizes
        # how many queries the user of a query has, on average over queries
        self.squared = float((sizes**2).sum()) / self.queries
        of_users = np.add.reduceat(table, starts, axis=1) / sizes
        of_queries, of_seeds, mean = table.mean(axis=0), table.mean(axis=1), table.mean()
        users = of_users.mean(axis=0)
        between = of_queries - np.repeat(users, sizes)
        both = of_users - users - of_seeds[:, None] + mean
        apart = table - of_queries - np.repeat(of_users - users, sizes, axis=1)
        seeds, within = self.seeds - 1, self.queries - self.users
        self.user = _mean(self.seeds * (sizes * (users - mean) ** 2).sum(), self.users - 1)
        self.query = _mean(self.seeds * (between**2).sum(), within)
        self.seed = _mean(self.queries * ((of_seeds - mean) ** 2).sum(), seeds)
        self.user_seed = _mean((sizes * both**2).sum(), (self.users - 1) * seeds)
        self.rest = _mean((apart**2).sum(), within * seeds)


def _estimates(squares: _MeanSquares) -> VarianceComponents:
    """Solve the expectations of the mean squares, from the innermost part outwards."""
    seeds, queries, users = squares.seeds, squares.queries, squares.users
    size = (queries - squares.squared) / (users - 1) if users > 1 else math.nan
    rest = squares.rest
    user_seed = (squares.user_seed - _known(rest)) / size
    query = (squares.query - _known(rest)) / seeds
    user = (squares.user - squares.query - size * _known(user_seed)) / (seeds * size)
    if math.isnan(squares.query):
        user = (squares.user - _known(squares.user_seed)) / (seeds * size)
    seed = (squares.seed - _known(rest) - squares.squared * _known(user_seed)) / queries
    return VarianceComponents(
        user=_at_least_zero(user),
        query=_at_least_zero(query),
        seed=_at_least_zero(seed),
        user_seed=_at_least_zero(user_seed),
        rest=rest,
        users=users,
        queries=queries,
        seeds=seeds,
        effective_users=queries / squares.squared,
    )


def _mean(total: float, freedom: int) -> float:
    return float(total) / freedom if freedom else math.nan


def _at_least_zero(value: float) -> float:
    return value if math.isnan(value) else max(0.0, value)


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _sum(*values: float) -> float:
    """The sum of those that are known; NaN where none is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) if known else math.nan
