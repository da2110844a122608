"""How certain a score is: intervals, and paired tests of two methods on the same queries.

The queries of one user are not independent, because they share an author. So users are what is
drawn, each with all their queries: the bootstrap resamples users (Davison and Hinkley 1997,
section 3.8), and the randomization test exchanges all scores of a user together (Riezler and
Maxwell 2005). Resampling queries again within each drawn user would count the spread within users
twice. Everything is computed from the scores with a fixed seed: the same scores give the same
numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lampbench.report.concentration import Concentration, concentration
from lampbench.report.resampling import (
    DECIMALS,
    Floats,
    bootstrap_means,
    exchange_p,
    means_are_normal,
    standard_error,
)
from lampbench.scoring.query_scores import QueryScores, score_differences

Scores = Mapping[tuple[str, str], float]
"""A score by (user, query)."""

LEVEL = 0.95
POWER = 0.8
"""The probability of finding a true difference as large as the detectable one."""
NOTABLE = 0.1
"""Differences with a larger p-value are not claimed by anybody, and need no warnings."""
RESAMPLES = 10_000
EXCHANGES = 9_999
FEWEST_RESAMPLED = 5
"""With fewer users, resamples cannot reach as far as an expanded 95% interval: of four users, 1 in
256 resamples holds the lowest alone, and their interval needs 1 in 8,000 below it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries and the ends of its two-sided 95% interval.

    The ends are NaN where there is only one query, from which no interval follows.
    """

    mean: float
    low: float
    high: float

    @property
    def bounded(self) -> bool:
        """Whether it has ends."""
        return not math.isnan(self.low)

    @property
    def half_width(self) -> float:
        """About how far a mean must be from zero for the interval to exclude zero."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends are on the same side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Paired:
    """A method's scores minus another's on the same queries.

    `detectable` is the minimum detectable effect: the smallest true difference for which the 95%
    interval of such an experiment excludes zero with probability `POWER` (Card et al. 2020). It is
    None where `difference` has no interval, and where no user differs from another.

    `bootstrap` and `exchange` are two-sided p-values, of the bootstrap and of approximate
    randomization. `bootstrap` is at most 0.05 exactly where the interval excludes zero; it is 1
    where there is no interval. `better`, `equal` and `worse` count users by the sign of their mean
    difference; `concentration` says how much of it a few of them carry.
    """

    difference: Interval
    detectable: float | None
    bootstrap: float
    exchange: float
    better: int
    equal: int
    worse: int
    concentration: Concentration

    def warnings(self) -> list[str]:
        """What else must be known before the difference is believed; none where it is not found.

        A difference counts as found here where the exchange test has p <= 0.1, or the interval
        excludes zero.
        """
        if self.exchange > NOTABLE and not self.difference.excludes_zero:
            return []
        found = self.concentration.warnings()
        if self.borderline:
            found.append("borderline: the interval and the exchange test disagree at 5%")
        return found

    @property
    def borderline(self) -> bool:
        """Whether the interval and the exchange test disagree at 5%."""
        return self.difference.excludes_zero != (self.exchange <= 1 - LEVEL)


def interval(scores: Scores) -> Interval:
    """The mean over queries with its 95% interval, from a bootstrap over users.

    It lies between two percentiles of resampled means, further out than 2.5% and 97.5%, because
    plain percentiles are too narrow for few users, as a normal interval is compared with Student's
    (Hesterberg 2015, section 4.2). With two to four users, and with more than 10,000 of
    whom not a few make up the spread, it is Student's t interval from the bootstrap's standard
    error. With a single user, it describes that user's queries.

    Raises:
        ValueError: no scores.
    """
    return _Resampled(_units(grouped_by_user(scores))).interval()


def paired(ours: Scores, theirs: Scores) -> Paired:
    """The difference of two methods, ours minus theirs, tested on the same queries.

    The p-value of approximate randomization is the share of exchanges of both methods' scores, user
    by user, whose difference is at least as far from zero: of all 2^users exchanges where that is
    fewer than 10,000, and of 9,999 random ones otherwise. Of more than 10,000 users, unless few of
    them make up the spread, it is the share of a normal distribution with the variance of all
    exchanges.

    Raises:
        LampbenchError: the two have scores of different queries.
        ValueError: there are none.
    """
    gaps = grouped_by_user(score_differences(ours, theirs))
    resampled = _Resampled(_units(gaps))
    sums = np.round([user.sum() for user in gaps], DECIMALS)
    return Paired(
        difference=resampled.interval(),
        detectable=resampled.detectable(),
        bootstrap=resampled.p_value(),
        exchange=exchange_p(sums, EXCHANGES),
        better=int((sums > 0).sum()),
        equal=int((sums == 0).sum()),
        worse=int((sums < 0).sum()),
        concentration=concentration(sums, np.asarray([float(len(user)) for user in gaps])),
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


def resampled_interval(value: float, resampled: Floats, units: int) -> Interval:
    """The 95% interval of a number, from its values in resamples of two units or more.

    Its ends are percentiles, widened for few units; of fewer than five, it is Student's.
    """
    from scipy.special import ndtr

    if units < FEWEST_RESAMPLED:
        return student_interval(value, float(resampled.std(ddof=1)), units)
    reach = _errors((1 + LEVEL) / 2, units)
    outside = max(1, int((len(resampled) + 1) * float(ndtr(-reach))))
    ordered = np.sort(resampled)
    return Interval(value, float(ordered[outside - 1]), float(ordered[-outside]))


def student_interval(value: float, error: float, units: int) -> Interval:
    """The 95% interval of a number with the bootstrap's standard error."""
    far = _errors((1 + LEVEL) / 2, units) * error
    return Interval(value, value - far, value + far)


class _Resampled:
    """What follows from resampling some independent units, each with its scores.

    Attributes:
        means: of each resample; None of a single unit, and of so many that none is drawn.
        error: the standard error of the bootstrap; NaN of a single unit.
    """

    def __init__(self, units: Sequence[Floats]) -> None:
        sums = np.asarray([unit.sum() for unit in units])
        sizes = np.asarray([float(len(unit)) for unit in units])
        self.units = len(units)
        self.mean = _or_zero(float(np.mean(np.concatenate(units))))
        self.means: Floats | None = None
        if self.units == 1:
            self.error = math.nan
        elif means_are_normal(sums, sizes):
            self.error = _or_zero(standard_error(sums, sizes))
        else:
            self.means = bootstrap_means(sums, sizes, RESAMPLES)
            self.error = _or_zero(float(self.means.std(ddof=1)))

    def interval(self) -> Interval:
        """The mean and its 95% interval; the ends are NaN of a single unit."""
        if self.units == 1:
            return Interval(self.mean, math.nan, math.nan)
        if self.means is None:
            return student_interval(self.mean, self.error, self.units)
        return resampled_interval(self.mean, self.means, self.units)

    def p_value(self) -> float:
        """One minus the level of the interval that ends at zero."""
        from scipy.special import ndtri, stdtr

        if self.units == 1:
            return 1.0
        least = 2 / (len(self.means) + 1) if self.means is not None else 0.0
        if self.means is not None and self.units >= FEWEST_RESAMPLED:
            side = min(int((self.means <= 0).sum()), int((self.means >= 0).sum()))
            far = -float(ndtri(min(0.5, (side + 1) / (len(self.means) + 1))))
        elif self.error > 0:
            far = abs(self.mean) / self.error
        else:
            far = math.inf if self.mean else 0.0
        freedom = self.units - 1
        p = 2 * float(stdtr(freedom, -far / math.sqrt(self.units / freedom)))
        return min(1.0, max(p, least))

    def detectable(self) -> float | None:
        """(1.96 + 0.84) standard errors for many units, more for few.

        None for a single one, and where all are equal: how much they vary is unknown then.
        """
        if not self.error > 0:
            return None
        reach = _errors((1 + LEVEL) / 2, self.units) + _errors(POWER, self.units)
        return reach * self.error


def _or_zero(value: float) -> float:
    """The number, or zero where it is so small that it is an error of rounding."""
    return 0.0 if abs(value) <= 10.0**-DECIMALS else value


def _errors(share: float, units: int) -> float:
    """A quantile of Student's t, in standard errors of the bootstrap.

    Of n independent draws, these are too small by sqrt((n - 1) / n) (Hesterberg 2015, section 4.2).
    """
    from scipy.special import stdtrit

    return math.sqrt(units / (units - 1)) * float(stdtrit(units - 1, share))


def _units(users: Sequence[Floats]) -> list[Floats]:
    """What is drawn: users with all their scores; of a single user, the queries."""
    return list(users) if len(users) > 1 else [np.asarray([score]) for score in users[0]]


def grouped_by_user(scores: Scores) -> list[Floats]:
    """Each user's scores, users and queries in the order of their ids.

    Raises:
        ValueError: no scores.
    """
    if not scores:
        raise ValueError("no scores")
    grouped: dict[str, list[float]] = {}
    in_order = scores.items() if isinstance(scores, QueryScores) else sorted(scores.items())
    for (user, _), value in in_order:
        grouped.setdefault(user, []).append(value)
    return [np.asarray(values) for values in grouped.values()]
