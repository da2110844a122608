"""Random draws that all scores of one column share: bootstrap resamples and exchanges of users.

Which users a resample holds depends only on how many there are. So all methods and metrics of a
column are resampled by the same draws, which are made once. Their number and their seed are fixed:
the same scores give the same numbers.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED = 0
MOST_DRAWN = 10_000
"""Of more users nothing is drawn unless few of them make up the spread: what draws would show is
then normal, with a variance that a formula gives (Davison and Hinkley 1997, section 2.7.2)."""
_FEWEST_ALIKE = 1_000
"""So many users alike, alone, would have as heavy tails; their skewness moves the end of a 95%
interval by less than 1% of its half width."""
_CHUNK = 2_000_000
"""How many numbers are drawn at once."""
_KEPT = 4_000_000
"""Draws of at most this many numbers (32 MB) are kept for the next scores of the same column."""
DECIMALS = 12
"""Means and totals are rounded to these, since their last bits depend on the processor, and on the
order of sums: 0.1 is not the mean of three times 0.1."""


def bootstrap_means(sums: Floats, sizes: Floats, resamples: int) -> Floats:
    """Means over queries of `resamples` draws of as many users as there are, with replacement.

    User u has `sizes[u]` scores, which add up to `sums[u]`. A drawn user brings all of them: a
    resample's mean is the ratio of two sums over the users drawn (Davison and Hinkley 1997,
    section 3.8, "Strategy 1" of resampling groups).
    """
    chunks = drawn_users(len(sums), resamples)
    return np.round(
        np.concatenate([(times @ sums) / (times @ sizes) for times in chunks]), DECIMALS
    )


def drawn_users(users: int, resamples: int) -> Iterable[Floats]:
    """How many times each user (column) is in each resample (row), some rows at a time."""
    small = resamples * users <= _KEPT
    return (_kept_multiplicities if small else _multiplicities)(users, resamples)


def exchange_p(sums: Floats, exchanges: int) -> float:
    """Two-sided p-value of approximate randomization, from each user's summed differences.

    It is the share of exchanges whose total is at least as far from zero as the observed total.
    All 2^users exchanges are counted where these are at most `exchanges`; otherwise the observed
    one and `exchanges` random ones are. Where no draws are needed (`is_normal`), it is the share of
    a normal distribution with the variance of all exchanges.
    """
    users = len(sums)
    if is_normal(sums):
        return _normal_exchange_p(sums)
    observed = abs(np.round(sums.sum(), DECIMALS))

    def as_far(signs: Iterable[Floats]) -> int:
        totals = (np.round(chunk @ sums, DECIMALS) for chunk in signs)
        return sum(int((np.abs(each) >= observed).sum()) for each in totals)

    if 2**users <= exchanges:
        return as_far(_all_signs(users)) / float(2**users)
    draw = _kept_signs if users * exchanges <= _KEPT else _signs
    return (as_far(draw(users, exchanges)) + 1) / (exchanges + 1)


def is_normal(values: Floats) -> bool:
    """Whether sums of draws from such values are normal for what is asked here: there are more than
    `MOST_DRAWN`, and not a few of them make up the spread.
    """
    return len(values) > MOST_DRAWN and _shared_by_many(values**2)


def means_are_normal(sums: Floats, sizes: Floats) -> bool:
    """Whether `bootstrap_means` are normal for what is asked here, with their `standard_error`.

    A resample's mean is a ratio: its numerator must be normal, and its denominator, the number of
    scores that were drawn, must vary little (Davison and Hinkley 1997, section 2.7.2). Where a few
    users have most of the scores, it does not.
    """
    return is_normal(residuals(sums, sizes)) and _shared_by_many(sizes)


def _shared_by_many(parts: Floats) -> bool:
    """Whether a total is no more uneven than one that `_FEWEST_ALIKE` users share equally."""
    return bool(parts.sum() ** 2 >= _FEWEST_ALIKE * (parts**2).sum())


def residuals(sums: Floats, sizes: Floats) -> Floats:
    """What each user's sum differs by from that of as many scores of the overall mean."""
    overall = float(sums.sum() / sizes.sum())
    return sums - overall * sizes


def standard_error(sums: Floats, sizes: Floats) -> float:
    """What the standard deviation of `bootstrap_means` tends to with many users."""
    return float(np.sqrt((residuals(sums, sizes) ** 2).sum()) / sizes.sum())


def _normal_exchange_p(sums: Floats) -> float:
    from scipy.special import ndtr

    spread = float(np.sqrt((sums**2).sum()))
    return 2 * float(ndtr(-abs(float(sums.sum())) / spread)) if spread else 1.0


def _multiplicities(users: int, resamples: int) -> Iterator[Floats]:
    rng = np.random.default_rng(SEED)
    for size in _sizes(resamples, users):
        drawn = rng.integers(users, size=(size, users)) + users * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * users)
        yield times.reshape(size, users).astype(np.float64)


def _signs(users: int, exchanges: int) -> Iterator[Floats]:
    """Random exchanges (rows), some at a time: -1 for users (columns) whose scores are swapped."""
    rng = np.random.default_rng(SEED)
    for size in _sizes(exchanges, users):
        yield 1.0 - 2.0 * rng.integers(2, size=(size, users)).astype(np.float64)


@lru_cache(maxsize=8)
def _kept_multiplicities(users: int, resamples: int) -> tuple[Floats, ...]:
    return tuple(_multiplicities(users, resamples))


@lru_cache(maxsize=8)
def _kept_signs(users: int, exchanges: int) -> tuple[Floats, ...]:
    return tuple(_signs(users, exchanges))


@lru_cache(maxsize=8)
def _all_signs(users: int) -> tuple[Floats, ...]:
    """Every exchange of a few users."""
    swapped = np.arange(2**users)[:, None] >> np.arange(users) & 1
    return (1.0 - 2.0 * swapped.astype(np.float64),)


def _sizes(rows: int, columns: int) -> Iterator[int]:
    """How many rows to draw at a time, so that a chunk stays below `_CHUNK` numbers."""
    most = max(1, _CHUNK // columns)
    for begin in range(0, rows, most):
        yield min(most, rows - begin)
