"""Draws: what they hold, that they are shared, and that their size is bounded."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import permutation_test

from lampbench.report import resampling
from lampbench.report.resampling import bootstrap_means, exchange_p

COUNTS = (3, 1, 7, 2, 2)


@pytest.fixture
def values():
    return np.random.default_rng(5).standard_normal(sum(COUNTS))


def test_a_resampled_mean_is_over_queries_of_the_users_drawn():
    """Users of one value each: every mean is one of the six that two users can give."""
    possible = {1.0, 5.0, (3 * 1.0 + 5.0) / 4}
    values, counts = np.array([1.0, 1.0, 1.0, 5.0]), (3, 1)
    assert set(np.round(bootstrap_means(values, counts, 2_000), 9)) == possible


def test_the_draws_have_the_moments_of_the_two_step_bootstrap(values):
    """Users of equal size: the variance of such a bootstrap is known (Davison and Hinkley 1997,
    section 3.8): that of user means over users, and that within users over all queries.
    """
    users, queries = 10, 4
    table = np.random.default_rng(6).standard_normal((users, queries))
    means = bootstrap_means(table.ravel(), (queries,) * users, 40_000)
    expected = table.mean(axis=1).var() / users + table.var(axis=1).mean() / (users * queries)
    assert means.mean() == pytest.approx(table.mean(), abs=4 * (expected / 40_000) ** 0.5)
    assert means.var() == pytest.approx(expected, rel=0.03)


def test_scores_of_one_column_share_their_draws(values):
    other = np.random.default_rng(7).standard_normal(len(values))
    gap = bootstrap_means(values - other, COUNTS, 500)
    apart = bootstrap_means(values, COUNTS, 500) - bootstrap_means(other, COUNTS, 500)
    assert gap == pytest.approx(apart, abs=1e-11)


def test_draws_that_are_not_kept_are_the_same(values, monkeypatch):
    sums = np.random.default_rng(8).standard_normal(20)
    means, p = bootstrap_means(values, COUNTS, 500), exchange_p(sums, 999)
    monkeypatch.setattr(resampling, "_KEPT", 0)
    assert np.array_equal(bootstrap_means(values, COUNTS, 500), means)
    assert exchange_p(sums, 999) == p


def test_chunks_are_bounded_and_hold_all_rows(monkeypatch):
    monkeypatch.setattr(resampling, "_CHUNK", 100)
    weights, signs = list(resampling._weights(COUNTS, 50)), list(resampling._signs(7, 50))
    for chunks, columns in ((weights, sum(COUNTS)), (signs, 7)):
        assert sum(len(chunk) for chunk in chunks) == 50
        assert all(chunk.shape[1] == columns and chunk.size <= 100 for chunk in chunks)


def test_one_row_is_drawn_where_a_chunk_cannot_hold_more(values, monkeypatch):
    monkeypatch.setattr(resampling, "_CHUNK", 1)
    monkeypatch.setattr(resampling, "_KEPT", 0)
    means = bootstrap_means(values, COUNTS, 300)
    assert len(means) == 300
    assert means.mean() == pytest.approx(values.mean(), abs=0.2)


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
