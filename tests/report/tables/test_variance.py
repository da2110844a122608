"""The table of components of variance."""

import math

import numpy as np

from lampbench.report.variance_components import variance_components


def spread(shift, seed):
    rng = np.random.default_rng(seed)
    return {f"u{u}": [0.5 + shift + float(x) for x in 0.05 * rng.standard_normal(1 + u % 4)]
            for u in range(9)}  # fmt: skip


def test_differences_and_scores_have_their_components(scored, read, cells):
    gaps, ours = {}, {}
    for seed in range(3):
        one, other = spread(0.02 * seed, seed), spread(0.0, 10 + seed)
        scored("cope", one, seed=seed)
        scored("oppu", other, seed=seed)
        flat = [{(u, str(q)): v for u, row in each.items() for q, v in enumerate(row)}
                for each in (one, other)]  # fmt: skip
        gaps[seed] = {place: flat[0][place] - flat[1][place] for place in flat[0]}
        ours[seed] = flat[0]
    page = read("variance")
    found = variance_components(gaps)
    row = cells(page, "ROUGE-1, differences")["News Headline"]
    assert (row["Pair"], row["Users"], row["Seeds"]) == ("CoPe over OPPU", "9", "3")
    assert row["SD: user"] == f"{100 * math.sqrt(found.user):.2f}"
    assert row["rest"] == f"{100 * math.sqrt(found.rest):.2f}"
    assert row["Share: users %"] == f"{100 * found.shares()['users']:.0f}"
    assert row["seeds %"] == f"{100 * found.shares()['seeds']:.0f}"
    scores = page.partition("ROUGE-1, scores")[2]
    line = next(each for each in scores.splitlines() if "| CoPe " in each)
    assert f" {100 * math.sqrt(variance_components(ours).query):.2f} |" in line
    assert "With one seed" not in page


def test_one_seed_leaves_seeds_open(scored, read, cells):
    scored("cope", spread(0.1, 0))
    scored("oppu", spread(0.0, 1))
    page = read("variance")
    row = cells(page, "ROUGE-L, differences")["News Headline"]
    assert (row["Seeds"], row["seed"], row["user by seed"], row["seeds %"]) == ("1", *["n/a"] * 3)
    assert "With one seed, n/a" in page
