"""How far apart seeds are, and intervals of differences for other users and other seeds.

Users and seeds are crossed: every seed is run on every user. The variance of a mean difference has
a part from users and a part from seeds, each with few degrees of freedom of its own. The interval
with both as random factors adds their half widths as squares, each with its own quantile (Zou and
Donner 2008: the method of variance estimates recovery). It is never narrower than for users alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lampbench.report.statistics import LEVEL, Interval, Scores, grouped_by_user

if TYPE_CHECKING:
    from lampbench.report.resampling import Floats


@dataclass(frozen=True, slots=True)
class SeedSpread:
    """The difference of two methods with each of several seeds, in the order of `seeds`.

    `error` is the standard error of the mean over seeds that comes from seeds alone, 0 where they
    are no further apart than chance within users explains.
    """

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    error: float

    def users_and_seeds(self, users: Interval) -> Interval:
        """The 95% interval for other users and other seeds, from the one for other users."""
        from scipy.special import stdtrit

        far = float(stdtrit(len(self.seeds) - 1, (1 + LEVEL) / 2)) * self.error
        low = users.mean - math.hypot(users.mean - users.low, far)
        return Interval(users.mean, low, users.mean + math.hypot(users.high - users.mean, far))


def seed_spread(gaps: Mapping[int, Scores]) -> SeedSpread:
    """The spread of a mean over queries between two seeds or more, each with the same queries.

    Raises:
        ValueError: the seeds have scores of different queries.
    """
    seeds = tuple(sorted(gaps))
    if any(gaps[seed].keys() != gaps[seeds[0]].keys() for seed in seeds):
        raise ValueError("seeds with scores of different queries cannot be compared")
    users = [grouped_by_user(gaps[seed]) for seed in seeds]
    sums = np.asarray([[scores.sum() for scores in each] for each in users])
    means = sums.sum(axis=1) / len(gaps[seeds[0]])
    return SeedSpread(seeds, tuple(map(float, means)), _error(sums, users[0]))


def _error(sums: "Floats", users: Sequence["Floats"]) -> float:
    """From seeds (rows) by users: the variance of seeds' means less what users add to it.

    Users whose differences depend on the seed move a seed's mean too. That part falls with the
    number of users, and the interval for other users has it already.
    """
    seeds, count = sums.shape
    sizes = np.asarray([float(len(scores)) for scores in users])
    means = sums.sum(axis=1, keepdims=True) / sizes.sum()
    between = float(means.var(ddof=1))
    own = sums - means * sizes
    apart = float(((own - own.mean(axis=0)) ** 2).sum()) / (seeds - 1) / sizes.sum() ** 2
    by_users = apart * count / (count - 1) if count > 1 else 0.0
    return math.sqrt(max(0.0, between - by_users) / seeds)
