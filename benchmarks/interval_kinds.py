"""Kinds of intervals of a mean over queries, and the exchange test, written a second time.

Each follows its source and shares no code with `lampbench/report/statistics.py`. All but the old
two-step bootstrap see a user as two numbers: how many queries, and the sum of their differences.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

Floats = NDArray[np.float64]
Ends = tuple[float, float]

DRAWS = 10_000
TWO_STEP_DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Users' numbers of queries and sums of differences; the mean, and what it leaves of sums."""

    sizes: Floats
    sums: Floats
    mean: float
    left: Floats

    @classmethod
    def of(cls, gaps: Mapping[tuple[str, str], float]) -> "Sample":
        """From differences by (user, query)."""
        by_user: dict[str, list[float]] = defaultdict(list)
        for (user, _), gap in gaps.items():
            by_user[user].append(gap)
        sizes = np.asarray([float(len(each)) for each in by_user.values()])
        sums = np.asarray([sum(each) for each in by_user.values()])
        mean = float(sums.sum() / sizes.sum())
        return cls(sizes, sums, mean, sums - mean * sizes)

    @property
    def error(self) -> float:
        """The linearised standard error of the ratio of sums (Cochran 1977, section 6.4)."""
        users = len(self.sizes)
        return float(np.sqrt((self.left**2).sum() * users / (users - 1)) / self.sizes.sum())


@dataclass(frozen=True, slots=True)
class Drawn:
    """Draws that all experiments of as many users share: how often each user, and signs."""

    times: Floats
    signs: Floats

    @classmethod
    def of(cls, users: int) -> "Drawn":
        """Draws of another seed than those of `lampbench.report.resampling`."""
        rng = np.random.default_rng([users, 1])
        times = rng.multinomial(users, np.full(users, 1 / users), size=DRAWS).astype(np.float64)
        if 2**users <= DRAWS:
            swapped = np.arange(2**users)[:, None] >> np.arange(users) & 1
            signs = 1.0 - 2.0 * swapped.astype(np.float64)
        else:
            random = 1.0 - 2.0 * rng.integers(2, size=(DRAWS - 1, users)).astype(np.float64)
            signs = np.vstack([np.ones(users), random])
        return cls(times, signs)

    def means(self, sample: Sample) -> Floats:
        """Resampled means over queries."""
        found: Floats = (self.times @ sample.sums) / (self.times @ sample.sizes)
        return found


def percentile(sample: Sample, drawn: Drawn) -> Ends:
    """Plain percentiles of means of resampled users."""
    low, high = np.quantile(drawn.means(sample), [0.025, 0.975])
    return float(low), float(high)


def expanded(sample: Sample, drawn: Drawn) -> Ends:
    """The interval of lampbench."""
    cut = expansion(len(sample.sizes))
    low, high = np.quantile(drawn.means(sample), [cut, 1 - cut])
    return float(low), float(high)


def bca(sample: Sample, drawn: Drawn) -> Ends:
    """Bias-corrected and accelerated (Efron 1987), with the jackknife over users."""
    means = drawn.means(sample)
    bias = ndtri(np.clip((means < sample.mean).mean(), 1 / DRAWS, 1 - 1 / DRAWS))
    without = (sample.sums.sum() - sample.sums) / (sample.sizes.sum() - sample.sizes)
    apart = without.mean() - without
    skew = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    reached = bias + ndtri(np.asarray([0.025, 0.975]))
    low, high = np.quantile(means, ndtr(bias + reached / (1 - skew * reached)))
    return float(low), float(high)


def bootstrap_t(sample: Sample, drawn: Drawn) -> Ends:
    """Studentised resampled means (Davison and Hinkley 1997, section 5.2.1)."""
    users, means = len(sample.sizes), drawn.means(sample)
    squares = (
        drawn.times @ sample.sums**2
        - 2 * means * (drawn.times @ (sample.sums * sample.sizes))
        + means**2 * (drawn.times @ sample.sizes**2)
    )
    squares = np.maximum(squares, 1e-18) * users / (users - 1)
    errors = np.sqrt(squares) / (drawn.times @ sample.sizes)
    low, high = np.quantile((means - sample.mean) / errors, [0.025, 0.975])
    return float(sample.mean - high * sample.error), float(sample.mean - low * sample.error)


def student(sample: Sample, drawn: Drawn) -> Ends:
    """Student's t with the linearised standard error, one degree of freedom less than users."""
    far = float(stdtrit(len(sample.sizes) - 1, 0.975)) * sample.error
    return sample.mean - far, sample.mean + far


def bell_mccaffrey(sample: Sample, drawn: Drawn) -> Ends:
    """Student's t with the standard error CR2 and its degrees of freedom (2002)."""
    sizes, total = sample.sizes, sample.sizes.sum()
    weights = 1 / np.sqrt(1 - sizes / total)
    error = float(np.sqrt(((sample.left * weights) ** 2).sum()) / total)
    map_ = (np.eye(len(sizes)) - np.outer(sizes, np.ones(len(sizes))) / total) * weights[:, None]
    shape = (map_ * sizes) @ map_.T
    freedom = np.trace(shape) ** 2 / (shape**2).sum()
    far = float(stdtrit(freedom, 0.975)) * error
    return sample.mean - far, sample.mean + far


def inverted_exchange(sample: Sample, drawn: Drawn) -> Ends:
    """All shifts that the exchange test does not reject (Hartigan 1969: typical values)."""
    total = sample.sizes.sum()
    sums, sizes = drawn.signs @ sample.left, drawn.signs @ sample.sizes
    same = np.abs(sizes) >= total  # the identity and its opposite: as far from zero at any shift
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([sums / (total + sizes), -sums / (total - sizes)])
    low = np.sort(np.where(same, -np.inf, ends.min(axis=0)))
    high = np.sort(np.where(same, np.inf, ends.max(axis=0)))
    rejected = int(0.05 * len(drawn.signs) + 1e-9)
    return sample.mean + float(low[rejected]), sample.mean + float(high[-1 - rejected])


def exchange(sample: Sample, drawn: Drawn) -> float:
    """The p-value of approximate randomization by user."""
    far = np.abs(drawn.signs @ sample.sums) >= abs(sample.sums.sum()) - 1e-12
    return float(far.mean())


def two_step(gaps: Mapping[tuple[str, str], float], rng: np.random.Generator) -> Ends:
    """The expanded percentiles where each drawn user's queries are drawn again too."""
    users = Counter(user for user, _ in gaps)
    values, sizes = np.asarray(list(gaps.values())), np.asarray(list(users.values()))
    starts = np.cumsum(sizes) - sizes
    who = rng.integers(len(users), size=(TWO_STEP_DRAWS, len(users)))
    each = np.repeat(who.ravel(), sizes[who].ravel())
    query = starts[each] + (rng.random(len(each)) * sizes[each]).astype(np.intp)
    row = np.repeat(np.arange(TWO_STEP_DRAWS), sizes[who].sum(axis=1))
    means = np.bincount(row, values[query]) / np.bincount(row)
    low, high = np.quantile(means, [expansion(len(users)), 1 - expansion(len(users))])
    return float(low), float(high)


def expansion(users: int) -> float:
    """The share of resampled means below an expanded 95% interval (Hesterberg 2015, 4.2)."""
    return float(ndtr(np.sqrt(users / (users - 1)) * stdtrit(users - 1, 0.025)))


KINDS: Mapping[str, Callable[[Sample, Drawn], Ends]] = {
    "percentile": percentile,
    "bca": bca,
    "bootstrap_t": bootstrap_t,
    "t": student,
    "cr2": bell_mccaffrey,
    "exchange": inverted_exchange,
}
"""Those that are compared with lampbench's."""
