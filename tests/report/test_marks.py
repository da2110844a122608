"""What a table says about how certain its scores are."""

import re

import numpy as np

from lampbench.report.metric_range import score_interval
from lampbench.report.statistics import interval
from lampbench.report.table import Number

SETUP = "bundled, preset small, data bundled"


def spread(users=12, queries=3, shift=0.0, seed=0):
    """Scores around 0.5 + shift; the same users and queries differ alike for every shift."""
    rng = np.random.default_rng(seed)
    return {f"u{u}": [0.5 + shift + float(x) for x in 0.05 * rng.standard_normal(queries)]
            for u in range(users)}  # fmt: skip


def flat(scores):
    return {(u, f"q{q}"): value for u, values in scores.items() for q, value in enumerate(values)}


def test_the_best_its_equals_and_the_rest(scored, read, cells):
    best = spread()
    close = {u: [v + (0.02 if int(u[1:]) % 2 else -0.021) for v in row] for u, row in best.items()}
    scored("cope", best)
    scored("oppu", close)
    scored("tam", spread(shift=-0.1))
    table = cells(read("main"), SETUP, "ROUGE-1", marks=True)
    shown = {method: row["News Headline"] for method, row in table.items()}
    found = interval(flat(best))
    assert shown["CoPe"] == f"**{found.mean:.3f}** [{found.low:.3f}, {found.high:.3f}]"
    assert re.fullmatch(r"0\.\d{3} ≈ \[0\.\d{3}, 0\.\d{3}\]", shown["OPPU"])
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", shown["TAM"])
    assert shown["Base"] == "no run"
    assert "Holm-adjusted over 2 tests" in read("main")
    assert "Too few users" not in read("main")


def test_equal_scores_are_both_best_and_a_lone_one_is_not(scored, read, cells):
    scored("cope", spread())
    assert "**" not in read("main")
    assert "bold:" not in read("main")
    scored("oppu", spread())
    table = cells(read("main"), SETUP, "ROUGE-1", marks=True)
    assert table["CoPe"]["News Headline"].startswith("**")
    assert table["OPPU"]["News Headline"] == table["CoPe"]["News Headline"]


def test_what_is_better_on_common_seeds_is_not_called_worse(scored, read, cells):
    """The best of all is so by a seed that the other has not been run with."""
    for method, seed, shift in (("cope", 0, 0.3), ("cope", 1, 0.0), ("oppu", 1, 0.1),
                                ("tam", 1, -0.1)):  # fmt: skip
        scored(method, spread(shift=shift), seed=seed)
    table = cells(read("main"), SETUP, "ROUGE-1", marks=True)
    shown = {method: row["News Headline"] for method, row in table.items()}
    assert shown["CoPe"].startswith("**")
    assert "≈" in shown["OPPU"]
    assert "≈" not in shown["TAM"]


def test_what_is_significant_alone_need_not_be_among_many(scored, read, cells):
    """Six users who all agree: p is 2 / 64, which two tests double."""
    for method, shift in (("cope", 0.0), ("oppu", -0.1)):
        scored(method, spread(users=6, shift=shift))
    alone = cells(read("main"), SETUP, "ROUGE-1", marks=True)["OPPU"]
    assert "≈" not in alone["News Headline"]
    assert "Too few users" not in read("main")
    for method, shift in (("cope", 0.0), ("oppu", -0.1)):
        scored(method, spread(users=6, shift=shift), "review_writing")
    both = cells(read("main"), SETUP, "ROUGE-1", marks=True)["OPPU"]
    assert "≈" in both["News Headline"] and "≈" in both["Review Writing"]
    assert "Too few users for these tests to find anything worse: Review Writing;" in read("main")


def test_columns_of_many_users_are_not_called_too_small(scored, read, cells):
    for task, users in (("news_headline", 12), ("review_writing", 5)):
        for method, shift in (("cope", 0.0), ("oppu", -0.1), ("tam", -0.2)):
            scored(method, spread(users=users, shift=shift), task)
    row = cells(read("main"), SETUP, "ROUGE-1", marks=True)["OPPU"]
    assert "≈" in row["Review Writing"] and "≈" not in row["News Headline"]
    assert "find anything worse: Review Writing." in read("main")


def test_tests_that_can_have_smaller_p_values_come_first(scored, read, cells):
    """Holm takes the twelve users' test before the six users', which is then the only one left."""
    for task, users in (("news_headline", 12), ("review_writing", 6)):
        for method, shift in (("cope", 0.0), ("oppu", -0.1)):
            scored(method, spread(users=users, shift=shift), task)
    assert "≈" not in cells(read("main"), SETUP, "ROUGE-1", marks=True)["OPPU"]["Review Writing"]
    assert "Too few users" not in read("main")


def test_nothing_rounded_to_zero_has_a_sign():
    assert [Number(x, signed=True).text() for x in (-0.0004, 0.0004)] == ["0.000", "0.000"]
    assert Number(0.1234, low=-0.0001, high=0.2, signed=True).interval() == "[0.000, +0.200]"


def test_a_query_counts_with_its_mean_over_seeds(scored, read, cells):
    """Seeds that undo each other leave nothing that users or queries could vary in."""
    up = spread(users=4)
    scored("cope", up, seed=0)
    scored("cope", {u: [1 - value for value in row] for u, row in up.items()}, seed=1)
    row = cells(read("main"), SETUP, "ROUGE-1", marks=True)["CoPe"]
    assert row["News Headline"] == "0.500 [0.500, 0.500]"


def test_one_query_has_no_interval(scored, read, cells):
    scored("cope", {"u": [0.25]})
    scored("oppu", {"u": [0.125]})
    table = cells(read("main"), SETUP, "ROUGE-1", marks=True)
    assert table["CoPe"]["News Headline"] == "**0.250**"
    assert table["OPPU"]["News Headline"] == "0.125 ≈"


def test_by_user_each_user_is_one_number(scored, read, cells):
    scores = {"a": [0.1, 0.2, 0.3], "b": [0.6], "c": [0.4, 0.6]}
    scored("cope", scores)
    row = cells(read("scores"), SETUP, "Scores", marks=True)["News Headline"]
    found = score_interval("rouge1", {("a", ""): 0.2, ("b", ""): 0.6, ("c", ""): 0.5})
    assert row["ROUGE-1, by user"] == f"0.433 [{found.low:.3f}, {found.high:.3f}]"
    assert row["ROUGE-1"] == "0.367"


def test_runs_in_no_table_have_intervals_too(scored, read, cells):
    scored("cope", spread(), overrides={"user_sft.rank": 4})
    row = cells(read("excluded-runs"), "Runs in no other table", marks=True)["News Headline"]
    found = interval(flat(spread()))
    assert row["ROUGE-1"] == f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"
