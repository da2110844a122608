"""Components of variance: the simulated truth, textbook formulas, and what cannot be estimated."""

import math
from dataclasses import astuple

import numpy as np
import pytest

from lampbench.report.variance_components import variance_components

SD = {"user": 0.5, "query": 0.7, "seed": 0.3, "user_seed": 0.2, "rest": 0.4}


def simulated(rng, users=25, seeds=3, most=10, sd=SD):
    found: dict[int, dict[tuple[str, str], float]] = {seed: {} for seed in range(seeds)}
    shifts = sd["seed"] * rng.standard_normal(seeds)
    for user in range(users):
        own, both = sd["user"] * rng.standard_normal(), sd["user_seed"] * rng.standard_normal(seeds)
        for query in range(1 + rng.integers(most)):
            asked = sd["query"] * rng.standard_normal()
            for seed in range(seeds):
                rest = sd["rest"] * rng.standard_normal()
                found[seed][f"u{user:03}", str(query)] = float(
                    own + asked + shifts[seed] + both[seed] + rest
                )
    return found


@pytest.mark.parametrize(
    ("users", "seeds", "sd"),
    [
        (25, 3, SD),
        # users who react to the seed move the means of seeds, most where they are few and unequal
        (6, 8, {"user": 1.0, "query": 0.2, "seed": 0.8, "user_seed": 1.0, "rest": 0.2}),
    ],
)
def test_estimates_are_those_that_the_scores_were_drawn_with(users, seeds, sd):
    rng = np.random.default_rng(0)
    found = [variance_components(simulated(rng, users, seeds, sd=sd)) for _ in range(400)]
    for name, part in sd.items():
        values = [getattr(one, name) for one in found]
        error = np.std(values) / 20
        # cutting at zero, which happens to the small ones, lifts the mean a little
        assert np.mean(values) == pytest.approx(part**2, abs=4 * error + 0.004), name


def test_one_seed_has_users_and_queries_alone():
    rng = np.random.default_rng(1)
    found = [variance_components(simulated(rng, seeds=1)) for _ in range(300)]
    user = SD["user"] ** 2 + SD["user_seed"] ** 2
    query = SD["query"] ** 2 + SD["rest"] ** 2
    assert np.mean([one.user for one in found]) == pytest.approx(user, rel=0.06)
    assert np.mean([one.query for one in found]) == pytest.approx(query, rel=0.03)
    assert all(math.isnan(x) for x in (found[0].seed, found[0].user_seed, found[0].rest))
    assert math.isnan(found[0].shares()["seeds"])
    assert sum(x for x in found[0].shares().values() if not math.isnan(x)) == pytest.approx(1)


def test_users_of_equal_size_follow_the_textbook():
    """Nested analysis of variance of one seed: mean squares between and within users."""
    table = np.random.default_rng(2).standard_normal((6, 4)) + np.arange(6)[:, None]
    found = variance_components(
        {0: {(f"u{u}", str(q)): float(table[u, q]) for u in range(6) for q in range(4)}}
    )
    within = table.var(axis=1, ddof=1).mean()
    assert found.query == pytest.approx(within)
    assert found.user == pytest.approx(table.mean(axis=1).var(ddof=1) - within / 4)
    assert found.effective_users == pytest.approx(6)


def test_shares_are_of_the_variance_of_the_mean():
    rng = np.random.default_rng(3)
    scores = [simulated(rng, users=12) for _ in range(1)]
    found = variance_components(scores[0])
    parts = found.shares()
    assert sum(parts.values()) == pytest.approx(1)
    sizes = np.bincount([int(u[1:]) for u, _ in scores[0][0]])
    assert found.effective_users == pytest.approx(sizes.sum() ** 2 / (sizes**2).sum())
    variance = (
        found.user / found.effective_users
        + found.user_seed / (3 * found.effective_users)
        + found.query / found.queries
        + found.rest / (3 * found.queries)
        + found.seed / 3
    )
    assert parts["seeds"] == pytest.approx(found.seed / 3 / variance)


def test_the_mean_varies_as_the_components_say():
    rng = np.random.default_rng(4)
    means, said = [], []
    for _ in range(400):
        scores = simulated(rng, users=10, most=6)
        means.append(np.mean([list(each.values()) for each in scores.values()]))
        said.append(variance_components(scores))
    parts = said[0]
    told = np.mean(
        [
            one.user / one.effective_users
            + one.user_seed / (3 * one.effective_users)
            + one.query / one.queries
            + one.rest / (3 * one.queries)
            + one.seed / 3
            for one in said
        ]
    )
    assert parts.seeds == 3
    assert np.var(means) == pytest.approx(told, rel=0.2)


def test_what_cannot_be_estimated_is_nan():
    alone = variance_components({0: {("a", "1"): 0.5}})
    assert all(math.isnan(part) for part in astuple(alone)[:5])
    assert all(math.isnan(share) for share in alone.shares().values())
    one_each = variance_components({0: {("a", "1"): 0.5, ("b", "1"): 0.7}})
    assert one_each.user == pytest.approx(0.02) and math.isnan(one_each.query)
    equal = variance_components({0: {("a", "1"): 0.5, ("a", "2"): 0.5, ("b", "1"): 0.5}})
    assert (equal.user, equal.query) == (0, 0)


def test_no_scores_and_other_queries_are_refused():
    with pytest.raises(ValueError, match="no scores"):
        variance_components({})
    with pytest.raises(ValueError, match="different queries"):
        variance_components({0: {("a", "1"): 0.5}, 1: {("a", "2"): 0.5}})
