"""How certain a score is: intervals, and paired tests of two methods on the same queries.

The queries of one user are not independent, because they share an author. So the bootstrap
resamples users first and then the queries of each drawn user, and the randomization test exchanges
all scores of a user together (Davison and Hinkley 1997, section 3.8; Riezler and Maxwell 2005).
Everything is computed from the scores with a fixed seed: the same scores give the same numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lampbench.report.resampling import DECIMALS, Floats, bootstrap_means, exchange_p

Scores = Mapping[tuple[str, str], float]
"""A score by (user, query)."""

LEVEL = 0.95
POWER = 0.8
"""The probability of finding a true difference as large as the detectable one."""
RESAMPLES = 2_000
EXCHANGES = 9_999


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries and the ends of its two-sided 95% interval.

    The ends are NaN where there is only one query, from which no interval follows.
    """

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """About how far a mean must be from zero for the interval to exclude zero."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Paired:
    """A method's scores minus another's on the same queries.

    `detectable` is the minimum detectable effect: the smallest true difference for which the 95%
    interval of such an experiment excludes zero with probability `POWER` (Card et al. 2020). It is
    NaN where `difference` has no interval.

    `bootstrap` and `exchange` are two-sided p-values, of the paired bootstrap and of approximate
    randomization. `better`, `equal` and `worse` count users by the sign of their mean difference.
    """

    difference: Interval
    detectable: float
    bootstrap: float
    exchange: float
    better: int
    equal: int
    worse: int


def interval(scores: Scores) -> Interval:
    """The mean over queries with its expanded percentile interval, from a two-step bootstrap.

    Plain percentiles are too narrow for few users, as a normal interval is compared with Student's.
    So the interval is widened as Hesterberg (2015, section 4.2) gives it for that many users. With
    a single user, it describes that user's queries.

    Raises:
        ValueError: no scores.
    """
    users = _by_user(scores)
    return _interval(users, _resampled(users))


def paired(ours: Scores, theirs: Scores) -> Paired:
    """The difference of two methods, ours minus theirs, tested on the same queries.

    The bootstrap's p-value is twice the share of resampled differences on the rarer side of zero.
    That of approximate randomization is the share of exchanges of both methods' scores, user by
    user, whose difference is at least as far from zero: of all 2^users exchanges where that is
    fewer than 10,000, and of 9,999 random ones otherwise.

    Raises:
        ValueError: the two have scores of different queries, or there are none.
    """
    if ours.keys() != theirs.keys():
        raise ValueError("scores of different queries cannot be paired")
    gaps = _by_user({query: ours[query] - theirs[query] for query in ours})
    means = _resampled(gaps)
    side = min(int((means <= 0).sum()), int((means >= 0).sum()))
    sums = np.round([user.sum() for user in gaps], DECIMALS)
    return Paired(
        difference=_interval(gaps, means),
        detectable=_detectable(gaps, means),
        bootstrap=min(1.0, 2 * (side + 1) / (len(means) + 1)),
        exchange=exchange_p(sums, EXCHANGES),
        better=int((sums > 0).sum()),
        equal=int((sums == 0).sum()),
        worse=int((sums < 0).sum()),
    )


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for the number of tests (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, values[place] * (len(values) - rank)))
        adjusted[place] = highest
    return adjusted


def _interval(users: Sequence[Floats], means: Floats) -> Interval:
    from scipy.special import ndtr

    mean, independent = float(np.mean(np.concatenate(users))), _independent(users)
    if independent == 1:
        return Interval(mean, math.nan, math.nan)
    cut = float(ndtr(_errors((1 - LEVEL) / 2, independent)))
    low, high = np.quantile(means, [cut, 1 - cut])
    return Interval(mean, float(low), float(high))


def _detectable(users: Sequence[Floats], means: Floats) -> float:
    """(1.96 + 0.84) standard errors for many users, more for few, as their interval is wider."""
    independent = _independent(users)
    if independent == 1:
        return math.nan
    reach = _errors((1 + LEVEL) / 2, independent) + _errors(POWER, independent)
    return reach * float(means.std(ddof=1))


def _errors(share: float, independent: int) -> float:
    """A quantile of Student's t, in standard errors of the bootstrap.

    Of n independent draws, these are too small by sqrt((n - 1) / n) (Hesterberg 2015, section 4.2).
    """
    from scipy.special import stdtrit

    factor = math.sqrt(independent / (independent - 1))
    return factor * float(stdtrit(independent - 1, share))


def _independent(users: Sequence[Floats]) -> int:
    """The number of users; of a single user, the number of queries."""
    return len(users) if len(users) > 1 else len(users[0])


def _resampled(users: Sequence[Floats]) -> Floats:
    return bootstrap_means(np.concatenate(users), [len(user) for user in users], RESAMPLES)


def _by_user(scores: Scores) -> list[Floats]:
    """Each user's scores, users and queries in the order of their ids."""
    if not scores:
        raise ValueError("no scores")
    grouped: dict[str, list[float]] = {}
    for (user, _), value in sorted(scores.items()):
        grouped.setdefault(user, []).append(value)
    return [np.asarray(values) for values in grouped.values()]
