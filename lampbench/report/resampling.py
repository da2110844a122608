"""Random draws that all scores of one column share: bootstrap resamples and exchanges of users.

Which queries a resample holds depends only on how many queries each user has. So all methods and
metrics of a column are resampled by the same draws, which are made once. Their number and their
seed are fixed: the same scores give the same numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SEED = 0
_CHUNK = 2_000_000
"""How many numbers are drawn at once."""
_KEPT = 4_000_000
"""Draws of at most this many numbers (32 MB) are kept for the next scores of the same column."""
DECIMALS = 12
"""Means and totals are rounded to these, since their last bits depend on the processor."""


def bootstrap_means(values: Floats, counts: Sequence[int], resamples: int) -> Floats:
    """Means over queries of `resamples` two-step draws: users first, then each user's queries.

    `values` holds the scores of all queries, one user after the other; user u has `counts[u]` of
    them. A resample draws as many users as there are, with replacement, and for each drawn user as
    many of that user's queries as there are, with replacement.
    """
    small = resamples * len(values) <= _KEPT
    draw = _kept_weights if small else _weights
    means = np.concatenate([chunk @ values for chunk in draw(tuple(counts), resamples)])
    return np.round(means, DECIMALS)


def exchange_p(sums: Floats, exchanges: int) -> float:
    """Two-sided p-value of approximate randomization, from each user's summed differences.

    It is the share of exchanges whose total is at least as far from zero as the observed total.
    All 2^users exchanges are counted where these are at most `exchanges`; otherwise the observed
    one and `exchanges` random ones are.
    """
    users = len(sums)
    observed = abs(np.round(sums.sum(), DECIMALS))

    def as_far(signs: Iterable[Floats]) -> int:
        totals = (np.round(chunk @ sums, DECIMALS) for chunk in signs)
        return sum(int((np.abs(each) >= observed).sum()) for each in totals)

    if 2**users <= exchanges:
        return as_far(_all_signs(users)) / float(2**users)
    draw = _kept_signs if users * exchanges <= _KEPT else _signs
    return (as_far(draw(users, exchanges)) + 1) / (exchanges + 1)


def _weights(counts: tuple[int, ...], resamples: int) -> Iterator[Floats]:
    """The share of each query (column) in each resample's mean (row), some rows at a time."""
    rng = np.random.default_rng(SEED)
    lengths = np.asarray(counts)
    starts = np.cumsum(lengths) - lengths
    users, queries = len(counts), sum(counts)
    for size in _sizes(resamples, queries):
        who = rng.integers(users, size=(size, users))
        drawn = lengths[who]
        each = np.repeat(drawn.ravel(), drawn.ravel())
        query = np.repeat(starts[who].ravel(), drawn.ravel())
        query += (rng.random(len(each)) * each).astype(np.intp)
        row = np.repeat(np.arange(size), drawn.sum(axis=1))
        times = np.bincount(row * queries + query, minlength=size * queries)
        yield times.reshape(size, queries) / drawn.sum(axis=1, keepdims=True)


def _signs(users: int, exchanges: int) -> Iterator[Floats]:
    """Random exchanges (rows), some at a time: -1 for users (columns) whose scores are swapped."""
    rng = np.random.default_rng(SEED)
    for size in _sizes(exchanges, users):
        yield 1.0 - 2.0 * rng.integers(2, size=(size, users)).astype(np.float64)


@lru_cache(maxsize=8)
def _kept_weights(counts: tuple[int, ...], resamples: int) -> tuple[Floats, ...]:
    return tuple(_weights(counts, resamples))


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
