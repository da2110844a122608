"""Few users who carry a difference, in its direction or against it."""

import numpy as np
import pytest
from scipy.stats import skew

from lampbench.report.concentration import concentration


def of(sums, sizes=None):
    sums = np.asarray(sums, dtype=float)
    return concentration(sums, np.ones(len(sums)) if sizes is None else np.asarray(sizes))


def test_a_tenth_of_the_users_who_gain_all():
    found = of([0.5, 0.4, 0.1] + [-0.01] * 27)
    assert (found.users, found.top, found.share, found.carried) == (30, 3, 1.0, True)
    assert found.warnings() == [
        "3 of 30 users carry 100% of what users differ by in this direction"
    ]


def test_the_share_is_of_users_who_differ_in_the_direction_of_the_total():
    found = of([-4.0, -2.0, -1.0, -1.0, 3.0] + [0.0] * 15)
    assert found.top == 2
    assert found.share == pytest.approx(6 / 8)
    assert of([-x for x in [-4.0, -2.0, -1.0, -1.0, 3.0] + [0.0] * 15]) == found


def test_a_difference_that_all_users_share_is_carried_by_nobody():
    found = of(np.random.default_rng(0).normal(0.5, 0.3, 50))
    assert found.warnings() == []


def test_few_users_far_in_the_other_direction():
    found = of([-0.01] * 38 + [0.12, 0.1])
    assert found.opposed and not found.carried
    assert found.warnings() == ["a few users differ far in the other direction"]


@pytest.mark.parametrize("users", range(10, 25))
def test_where_all_users_differ_alike_an_error_of_rounding_is_no_asymmetry(users):
    assert of([0.1] * users).asymmetry == of([0.7] * users, np.full(users, 3.0)).asymmetry == 0


def test_asymmetry_is_the_skewness_of_what_the_mean_leaves():
    sums, sizes = np.array([3.0, 1.0, -0.5, 0.2]), np.array([2.0, 1.0, 4.0, 1.0])
    left = sums - sums.sum() / sizes.sum() * sizes
    assert of(sums, sizes).asymmetry == pytest.approx(skew(left) / 2)


def test_few_users_may_hold_nobody_of_a_tenth_of_the_people():
    assert of([1.0] * 6).warnings() == [
        "6 users: a kind of person that is 1 in 10 is missing with probability 53%"
    ]
    assert of([1.0] * 28).missing > 0.05 > of([1.0] * 29).missing


@pytest.mark.parametrize("sums", [[0.0] * 12, [0.0], [1.0, -1.0]])
def test_no_difference_is_carried_by_nobody(sums):
    found = of(sums)
    assert np.isnan(found.share) and not found.carried and not found.opposed
