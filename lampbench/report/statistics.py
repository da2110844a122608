"""How sure a score is: intervals, and paired tests between methods on the same queries.

A method's queries are not independent of each other: one user writes like that user. So whatever
is drawn again is drawn in two steps, users first and then, within each, that user's queries, and
whatever is exchanged is exchanged for whole users (Davison and Hinkley 1997, section 3.8; Riezler
and Maxwell 2005 for approximate randomization). Everything follows from the scores alone: the same
scores give the same numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = Mapping[tuple[str, str], float]
"""A score by (user, query)."""

LEVEL = 0.95
POWER = 0.8
"""How often a true difference as large as the detectable one is found."""
RESAMPLES = 2_000
EXCHANGES = 9_999
_CHUNK = 2_000_000  # numbers drawn at once

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries and the ends of its two-sided 95% interval: NaN where there is but one
    query, which leaves them open.
    """

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """How far from zero a mean must lie, about, for the interval to leave zero out."""
        return (self.high - self.low) / 2


@dataclass(frozen=True, slots=True)
class Paired:
    """A method's scores less another's on the same queries.

    `detectable` is the minimum detectable effect: the smallest true difference that the 95%
    interval of such an experiment leaves zero out for with a probability of `POWER` (Card et al.
    2020); NaN where the interval is open.

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

    With few users plain percentiles are too narrow, as a normal interval is beside Student's: the
    shares cut off are those that Hesterberg (2015, section 4.2) gives for that many users. A single
    user's interval speaks of that user's queries.

    Raises:
        ValueError: no scores.
    """
    return _interval(scores, _resampled(scores))


def paired(ours: Scores, theirs: Scores) -> Paired:
    """Compare two methods.

    The bootstrap's p-value is twice the smaller share of resampled differences on one side of
    zero; that of approximate randomization is the share of exchanges, of both methods' scores of
    whole users, whose difference is at least as far from zero (all 2^users of them where that is
    fewer than 10,000). Neither is below 1 / (resamples + 1).

    Raises:
        ValueError: they are of different queries, or there are none.
    """
    if ours.keys() != theirs.keys():
        raise ValueError("scores of different queries cannot be paired")
    gaps = {query: ours[query] - theirs[query] for query in ours}
    means = _resampled(gaps)
    side = min(int((means <= 0).sum()), int((means >= 0).sum()))
    users = [float(values.sum()) for values in _by_user(gaps)]
    return Paired(
        difference=_interval(gaps, means),
        detectable=_detectable(gaps, means),
        bootstrap=min(1.0, 2 * (side + 1) / (len(means) + 1)),
        exchange=_exchange(users),
        better=sum(user > 0 for user in users),
        equal=sum(user == 0 for user in users),
        worse=sum(user < 0 for user in users),
    )


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for how many there are (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    adjusted = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, values[place] * (len(values) - rank)))
        adjusted[place] = highest
    return adjusted


def _interval(scores: Scores, means: Floats) -> Interval:
    from scipy.stats import norm

    independent = _independent(scores)
    if independent == 1:
        return Interval(_mean(scores), math.nan, math.nan)
    cut = float(norm.cdf(_errors((1 - LEVEL) / 2, independent)))
    low, high = np.quantile(means, [cut, 1 - cut])
    return Interval(_mean(scores), float(low), float(high))


def _detectable(gaps: Scores, means: Floats) -> float:
    """(1.96 + 0.84) standard errors for many users, more for few, as their interval is wider."""
    independent = _independent(gaps)
    if independent == 1:
        return math.nan
    reach = _errors((1 + LEVEL) / 2, independent) + _errors(POWER, independent)
    return reach * float(means.std(ddof=1))


def _errors(share: float, independent: int) -> float:
    """A quantile of Student's, in standard errors of the bootstrap.

    Of n independent draws, these are too small by sqrt((n - 1) / n) (Hesterberg 2015, section 4.2).
    """
    from scipy.stats import t

    return float(math.sqrt(independent / (independent - 1)) * t.ppf(share, independent - 1))


def _independent(scores: Scores) -> int:
    """Users; of a single user, queries."""
    users = _by_user(scores)
    return len(users) if len(users) > 1 else len(users[0])


def _exchange(users: Sequence[float]) -> float:
    """Of users' summed differences, how often random signs give a sum as far from zero."""
    from scipy.stats import permutation_test

    if len(users) == 1 or not any(users):
        return 1.0  # both exchanges of a single user are equally far from zero
    zeros = np.zeros(len(users))
    found = permutation_test(
        (np.asarray(users), zeros),
        lambda a, b, axis: (a - b).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=EXCHANGES,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _resampled(scores: Scores) -> Floats:
    """Means over queries of `RESAMPLES` draws of users and, within each, of queries."""
    users = _by_user(scores)
    counts = np.array([len(values) for values in users])
    table = np.zeros((len(users), counts.max()))
    for row, values in zip(table, users, strict=True):
        row[: len(values)] = values
    rng = np.random.default_rng(0)
    each = max(1, _CHUNK // table.size)
    means = []
    for begin in range(0, RESAMPLES, each):
        size = min(each, RESAMPLES - begin)
        who = rng.integers(len(users), size=(size, len(users)))
        lengths = counts[who][..., None]
        which = (rng.random((*who.shape, table.shape[1])) * lengths).astype(np.intp)
        taken = np.arange(table.shape[1]) < lengths
        drawn = np.where(taken, table[who[..., None], which], 0.0)
        means.append(drawn.sum(axis=(1, 2)) / lengths.sum(axis=(1, 2)))
    return np.concatenate(means)


def _by_user(scores: Scores) -> list[Floats]:
    """Each user's scores, users and queries in order."""
    if not scores:
        raise ValueError("no scores")
    grouped: dict[str, list[float]] = {}
    for (user, _), value in sorted(scores.items()):
        grouped.setdefault(user, []).append(value)
    return [np.asarray(values) for values in grouped.values()]


def _mean(scores: Scores) -> float:
    return float(np.mean(np.concatenate(_by_user(scores))))
