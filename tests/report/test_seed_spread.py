"""Differences by seed: worked by hand, and intervals for other seeds that hold the truth."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from lampbench.report.seed_spread import seed_spread
from lampbench.report.statistics import Interval, interval


def gaps(seeds, users=2, own=(0.0, 0.0)):
    """Two queries per user; a seed moves all by as much, and users by `own` times the seed."""
    return {
        number: {
            (f"u{user}", str(query)): shift + own[user % 2] * number
            for user in range(users)
            for query in range(2)
        }
        for number, shift in enumerate(seeds)
    }


def test_seeds_that_move_every_user_alike():
    found = seed_spread(gaps((0.1, 0.2, 0.3)))
    assert found.seeds == (0, 1, 2)
    assert found.differences == pytest.approx((0.1, 0.2, 0.3))
    assert found.error == pytest.approx(0.1 / 3**0.5)
    users = Interval(0.2, 0.15, 0.26)
    far = t.ppf(0.975, 2) * found.error
    both = found.users_and_seeds(users)
    assert both.mean == 0.2
    assert both.low == pytest.approx(0.2 - np.hypot(0.05, far))
    assert both.high == pytest.approx(0.2 + np.hypot(0.06, far))


def test_seeds_that_only_change_which_users_gain_add_nothing():
    """One of two users gains 0.2 more with each seed: the means of seeds differ by as much as such
    users alone would make them differ.
    """
    found = seed_spread(gaps((0.1, 0.1, 0.1), own=(0.2, 0.0)))
    assert found.differences == pytest.approx((0.1, 0.2, 0.3))
    assert found.error == pytest.approx(0, abs=1e-9)
    users = Interval(0.2, 0.05, 0.4)
    both = found.users_and_seeds(users)
    assert (both.low, both.high) == pytest.approx((0.05, 0.4))


def test_of_a_single_user_all_spread_is_of_seeds():
    found = seed_spread(gaps((0.1, 0.3), users=1))
    assert found.error == pytest.approx(0.1)


def test_seeds_of_other_queries_are_refused():
    broken = gaps((0.1, 0.2))
    del broken[1]["u0", "1"]
    with pytest.raises(ValueError, match="different queries"):
        seed_spread(broken)


@pytest.mark.parametrize("seed_sd", [0.0, 0.02])
def test_the_interval_for_other_seeds_covers_the_truth(seed_sd):
    """Without an effect of seeds it is little wider; with one, users alone would not do."""
    rng = np.random.default_rng(1)
    alone = both = 0
    for _ in range(400):
        shifts, own = seed_sd * rng.standard_normal(3), 0.03 * rng.standard_normal(20)
        runs = {
            seed: {
                (f"u{user:02}", str(q)): float(
                    own[user] + shifts[seed] + 0.1 * rng.standard_normal()
                )
                for user in range(20)
                for q in range(1 + user % 5)
            }
            for seed in range(3)
        }
        means = {place: float(np.mean([runs[s][place] for s in runs])) for place in runs[0]}
        users = interval(means)
        ends = seed_spread(runs).users_and_seeds(users)
        alone += users.low <= 0 <= users.high
        both += ends.low <= 0 <= ends.high
    assert binomtest(both, 400, 0.93, alternative="less").pvalue > 0.01
    assert binomtest(both, 400, 0.97, alternative="greater").pvalue > 0.01
    assert (alone < 340) == bool(seed_sd)
