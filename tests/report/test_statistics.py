"""Intervals cover what they should, and p-values are small as often as they should be."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from lampbench.report import resampling, statistics
from lampbench.report.statistics import holm, interval, paired
from lampbench.scoring.aggregate import mean
from lampbench.util.errors import LampbenchError


def drawn(rng, users=25, queries=6, effect=0.3, spread=0.2, noise=0.2):
    """Scores with a part that a user's queries share."""
    found = {}
    for user in range(users):
        own = effect + spread * rng.standard_normal()
        for query in range(1 + rng.integers(2 * queries)):
            found[f"u{user}", str(query)] = float(own + noise * rng.standard_normal())
    return found


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 400)
    monkeypatch.setattr(statistics, "EXCHANGES", 399)


@pytest.mark.parametrize(
    ("users", "spread"), [(25, 0.0), (25, 0.2), (8, 0.2), (4, 0.2), (3, 0.0), (2, 0.2)]
)
def test_intervals_cover_the_truth_as_often_as_they_say(quick, users, spread):
    """Whether users differ or not, few or many; neither too rarely nor too often."""
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(600):
        found = interval(drawn(rng, users, spread=spread))
        inside += found.low <= 0.3 <= found.high
    assert binomtest(inside, 600, 0.93, alternative="less").pvalue > 0.01
    assert binomtest(inside, 600, 0.97, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("users", [2, 4, 5, 12])
def test_the_bootstraps_p_value_decides_as_its_interval(users):
    rng = np.random.default_rng(10)
    decided = set()
    for _ in range(150):
        ours = drawn(rng, users, effect=0.15)
        found = paired(ours, dict.fromkeys(ours, 0.0))
        assert (found.bootstrap <= 0.05) == found.difference.excludes_zero
        decided.add(found.difference.excludes_zero)
    assert decided == {True, False}


def test_many_users_need_no_draws(monkeypatch):
    """Intervals and p-values are those of the draws, but for what draws differ by."""
    rng = np.random.default_rng(13)
    ours = drawn(rng, users=2_000, effect=0.0085)
    zero = dict.fromkeys(ours, 0.0)
    by_draws = paired(ours, zero)
    monkeypatch.setattr(resampling, "MOST_DRAWN", 1_999)
    monkeypatch.setattr(resampling, "_FEWEST_ALIKE", 100)
    monkeypatch.setattr(statistics, "bootstrap_means", None)
    found = paired(ours, zero)
    width = by_draws.difference.half_width
    for end in ("mean", "low", "high"):
        assert getattr(found.difference, end) == pytest.approx(
            getattr(by_draws.difference, end), abs=0.05 * width
        )
    assert found.detectable == pytest.approx(by_draws.detectable, rel=0.03)
    assert 0.01 < found.bootstrap == pytest.approx(by_draws.bootstrap, abs=0.01)
    assert (found.bootstrap <= 0.05) == found.difference.excludes_zero


def test_queries_of_a_user_count_as_one_where_they_are_equal(quick):
    """Ten copies of every query tell nothing new, however the bootstrap draws."""
    once = drawn(np.random.default_rng(11), users=9)
    copies = {(u, f"{q}-{n}"): value for (u, q), value in once.items() for n in range(10)}
    one, ten = interval(once), interval(copies)
    assert (one.low, one.high) == pytest.approx((ten.low, ten.high))


def test_drawing_queries_alone_would_not_cover(quick):
    """What the two steps are for: with every query a user of its own, coverage falls apart."""
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        flat = {(f"{u}/{q}", q): value for (u, q), value in drawn(rng).items()}
        found = interval(flat)
        inside += found.low <= 0.3 <= found.high
    assert inside / 200 < 0.8


@pytest.mark.parametrize("name", ["bootstrap", "exchange"])
def test_without_a_difference_few_p_values_are_small(quick, name):
    rng = np.random.default_rng(2)
    values = []
    for _ in range(400):
        ours = drawn(rng, spread=0.1)
        theirs = {q: v + float(0.05 * rng.standard_normal()) for q, v in ours.items()}
        values.append(getattr(paired(ours, theirs), name))
    small = sum(value <= 0.05 for value in values)
    assert binomtest(small, 400, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("name", ["bootstrap", "exchange"])
def test_a_difference_is_found(quick, name):
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(50):
        theirs = drawn(rng)
        ours = {q: v + 0.05 + float(0.05 * rng.standard_normal()) for q, v in theirs.items()}
        result = paired(ours, theirs)
        found += getattr(result, name) < 0.05
        assert result.difference.low < result.difference.mean < result.difference.high
    assert found > 45


def gaps_of(rng, users, spread=0.1, effect=0.0):
    """One difference a user, and none to hold it against."""
    ours = {(f"u{i}", "1"): effect + spread * float(rng.standard_normal()) for i in range(users)}
    return ours, dict.fromkeys(ours, 0.0)


@pytest.mark.parametrize("users", [8, 400])
def test_the_detectable_difference_is_that_of_the_t_test(users):
    """With one query per user, the bootstrap's standard error is sd / sqrt(n)."""
    ours, theirs = gaps_of(np.random.default_rng(8), users)
    error = np.std(list(ours.values()), ddof=1) / users**0.5
    reach = t.ppf(0.975, users - 1) + t.ppf(0.8, users - 1)
    found = paired(ours, theirs)
    assert found.detectable == pytest.approx(reach * error, rel=0.06)
    if users == 400:
        assert found.detectable == pytest.approx((1.96 + 0.84) * error, rel=0.06)
        assert found.difference.half_width == pytest.approx(1.96 * error, rel=0.06)


def test_more_users_detect_less():
    found = []
    for users in (4, 8, 16, 64, 256):
        ours = {(f"u{i}", "1"): 0.1 * (-1) ** i for i in range(users)}
        found.append(paired(ours, dict.fromkeys(ours, 0.0)).detectable or 0.0)
    assert found == sorted(found, reverse=True)
    assert found[0] > 8 * found[-1]


def test_what_is_called_detectable_is_detected_in_four_of_five(quick):
    rng = np.random.default_rng(9)
    effect = np.mean([paired(*gaps_of(rng, users=20)).detectable for _ in range(50)])
    found = 0
    for _ in range(200):
        found += paired(*gaps_of(rng, users=20, effect=effect)).difference.low > 0
    assert binomtest(found, 200, 0.8).pvalue > 0.01


def test_one_query_detects_nothing():
    assert paired({("a", "1"): 0.5}, {("a", "1"): 0.1}).detectable is None


def test_what_users_without_a_difference_detect_is_unknown():
    ours = {(user, query): 0.5 for user in "abcdef" for query in "12"}
    assert paired(ours, dict(ours)).detectable is None
    assert paired(ours, dict.fromkeys(ours, 0.4)).detectable is None


def test_numbers_worked_by_hand():
    """Two users: four exchanges, of which two are as far from zero."""
    ours = {("a", "1"): 0.5, ("a", "2"): 0.7, ("b", "1"): 0.2}
    theirs = {("a", "1"): 0.4, ("a", "2"): 0.4, ("b", "1"): 0.3}
    found = paired(ours, theirs)
    assert found.difference.mean == pytest.approx(0.1)
    assert found.exchange == 1.0  # |0.4 - 0.1| and |-0.4 + 0.1|, and both others are further
    assert (found.better, found.equal, found.worse) == (1, 0, 1)
    apart = paired({("a", "1"): 1.0, ("b", "1"): 1.0}, {("a", "1"): 0.0, ("b", "1"): 0.0})
    assert apart.exchange == 0.5
    assert apart.bootstrap == pytest.approx(2 / (statistics.RESAMPLES + 1))  # the least there is
    assert (apart.difference.low, apart.difference.high) == (1.0, 1.0)


def test_one_user_is_spoken_of_alone_and_one_query_says_nothing():
    one = interval({("a", str(q)): float(q) for q in range(9)})
    assert 1 < one.low < one.mean == 4 < one.high < 7
    assert np.isnan(interval({("a", "1"): 0.5}).low)
    assert (
        paired({("a", "1"): 0.5, ("a", "2"): 0.5}, {("a", "1"): 0.1, ("a", "2"): 0.4}).exchange == 1
    )


def test_equal_scores_are_no_difference():
    scores = {("a", "1"): 0.5, ("b", "1"): 0.25}
    found = paired(scores, scores)
    assert (found.bootstrap, found.exchange, found.equal) == (1.0, 1.0, 2)


@pytest.mark.parametrize("users", [1, 3, 6, 30])
def test_an_error_of_rounding_is_no_difference(users, monkeypatch):
    """Scores that are equal with three seeds have another mean than with one, in the last bit."""
    monkeypatch.setattr(resampling, "MOST_DRAWN", 29)
    monkeypatch.setattr(resampling, "_FEWEST_ALIKE", 10)
    ours = {(f"u{user}", query): mean([0.1] * 3) for user in range(users) for query in "12"}
    assert set(ours.values()) != {0.1}
    found = paired(ours, dict.fromkeys(ours, 0.1))
    assert (found.difference.mean, found.bootstrap, found.exchange) == (0.0, 1.0, 1.0)
    assert not found.difference.excludes_zero
    assert found.detectable is None and found.equal == users


def test_order_of_scores_does_not_matter():
    scores = drawn(np.random.default_rng(4))
    shuffled = dict(sorted(scores.items(), key=lambda item: item[1]))
    assert interval(scores) == interval(shuffled)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_other_queries_cannot_be_paired():
    with pytest.raises(LampbenchError, match="different queries"):
        paired({("a", "1"): 1.0}, {("a", "2"): 1.0})
    with pytest.raises(ValueError, match="no scores"):
        interval({})
