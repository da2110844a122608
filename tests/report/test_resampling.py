"""Draws: what they hold, that they are shared, and that their size is bounded."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from lampbench.report import resampling
from lampbench.report.resampling import (
    bootstrap_means,
    exchange_p,
    is_normal,
    means_are_normal,
    residuals,
    standard_error,
)

SIZES = np.array([3.0, 1.0, 7.0, 2.0, 2.0])


@pytest.fixture
def sums():
    return np.random.default_rng(5).standard_normal(len(SIZES)) * SIZES


def test_a_resampled_mean_is_over_all_queries_of_the_users_drawn():
    """Two users: a resample holds the first alone, the second alone, or both with every query."""
    means = bootstrap_means(np.array([3 * 1.0, 5.0]), np.array([3.0, 1.0]), 2_000)
    assert set(np.round(means, 9)) == {1.0, 5.0, (3 * 1.0 + 5.0) / 4}


def test_the_draws_have_the_moments_of_a_bootstrap_of_users():
    """Of users of equal size, who are drawn whole: the variance of their means over users. How
    much the queries of a user differ adds nothing (Davison and Hinkley 1997, section 3.8).
    """
    of_users = np.random.default_rng(6).standard_normal(10)
    means = bootstrap_means(4 * of_users, np.full(10, 4.0), 40_000)
    expected = of_users.var() / 10
    assert means.mean() == pytest.approx(of_users.mean(), abs=4 * (expected / 40_000) ** 0.5)
    assert means.var() == pytest.approx(expected, rel=0.03)


def test_scores_of_one_column_share_their_draws(sums):
    other = np.random.default_rng(7).standard_normal(len(sums))
    gap = bootstrap_means(sums - other, SIZES, 500)
    apart = bootstrap_means(sums, SIZES, 500) - bootstrap_means(other, SIZES, 500)
    assert gap == pytest.approx(apart, abs=1e-11)


def test_draws_that_are_not_kept_are_the_same(sums, monkeypatch):
    far = np.random.default_rng(8).standard_normal(20)
    means, p = bootstrap_means(sums, SIZES, 500), exchange_p(far, 999)
    monkeypatch.setattr(resampling, "_KEPT", 0)
    assert np.array_equal(bootstrap_means(sums, SIZES, 500), means)
    assert exchange_p(far, 999) == p


def test_chunks_are_bounded_and_hold_all_rows(monkeypatch):
    monkeypatch.setattr(resampling, "_CHUNK", 100)
    times, signs = list(resampling._multiplicities(5, 50)), list(resampling._signs(7, 50))
    for chunks, columns in ((times, 5), (signs, 7)):
        assert sum(len(chunk) for chunk in chunks) == 50
        assert all(chunk.shape[1] == columns and chunk.size <= 100 for chunk in chunks)
    assert all((chunk.sum(axis=1) == 5).all() for chunk in times)


def test_one_row_is_drawn_where_a_chunk_cannot_hold_more(sums, monkeypatch):
    monkeypatch.setattr(resampling, "_CHUNK", 1)
    monkeypatch.setattr(resampling, "_KEPT", 0)
    means = bootstrap_means(sums, SIZES, 300)
    assert len(means) == 300
    assert means.mean() == pytest.approx(sums.sum() / SIZES.sum(), abs=0.2)


@pytest.mark.parametrize("users", [2, 3, 9, 13])
def test_exchanges_of_few_users_are_all_counted(users):
    sums = np.round(np.random.default_rng(users).standard_normal(users), 1)  # with ties
    totals = [abs(sum(s * x for s, x in zip(signs, sums, strict=True)))
              for signs in product((-1, 1), repeat=users)]  # fmt: skip
    as_far = sum(total >= abs(sums.sum()) - 1e-9 for total in totals)
    assert exchange_p(sums, 9_999) == as_far / 2**users


def test_random_exchanges_agree_with_scipy():
    sums = np.random.default_rng(9).standard_normal(40) + 0.3
    peer = permutation_test(
        (sums, np.zeros(40)),
        lambda a, b, axis: (a - b).sum(axis=axis),
        permutation_type="samples",
        n_resamples=99_999,
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    ours = exchange_p(sums, 99_999)
    error = (2 * peer.pvalue * (1 - peer.pvalue) / 100_000) ** 0.5
    assert ours == pytest.approx(peer.pvalue, abs=4 * error)


def test_no_exchange_is_rarer_than_once_in_all():
    assert exchange_p(np.ones(200), 9_999) == 1 / 10_000
    assert exchange_p(np.zeros(200), 9_999) == 1.0
    assert exchange_p(np.array([0.7]), 9_999) == 1.0


@pytest.mark.parametrize("skewed", [False, True])
def test_of_many_users_formulas_say_what_draws_would(skewed, monkeypatch):
    rng = np.random.default_rng(12)
    sizes = rng.integers(1, 9, size=3_000).astype(float)
    errors = rng.exponential(size=3_000) - 1 if skewed else rng.standard_normal(3_000)
    sums = sizes * (0.02 + errors)
    error = standard_error(sums, sizes)
    assert error == pytest.approx(bootstrap_means(sums, sizes, 10_000).std(), rel=0.03)
    drawn = exchange_p(sums, 9_999)
    monkeypatch.setattr(resampling, "MOST_DRAWN", 2_999)
    monkeypatch.setattr(resampling, "_FEWEST_ALIKE", 100)
    assert exchange_p(sums, 9_999) == pytest.approx(drawn, abs=0.02)
    assert exchange_p(np.zeros(3_000), 9_999) == 1.0


def test_few_users_who_make_up_the_spread_are_drawn_however_many_there_are():
    """Four of 10,001 differ: of 16 exchanges, 2 are as far from zero; a normal curve says 5%."""
    sums = np.zeros(10_001)
    sums[:4] = 1.0
    assert exchange_p(sums, 999) == pytest.approx(2 / 16, abs=0.04)


def test_means_are_drawn_where_one_user_has_most_of_the_scores():
    """Without that user, as of every third resample, all others differ three times as far."""
    sums = np.array([10_000.0, *([0.0, 1.0] * 5_000)])
    sizes = np.array([20_000.0, *np.ones(10_000)])
    assert is_normal(residuals(sums, sizes))
    assert not means_are_normal(sums, sizes)
    error = standard_error(sums, sizes)
    assert bootstrap_means(sums, sizes, 400).std() > 1.5 * error
    sizes[0] = 1.0
    assert means_are_normal(sums - [9_999.5, *np.zeros(10_000)], sizes)
