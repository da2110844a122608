"""What a method gains over a baseline, beside the paper's gains where these are comparable."""

import re

import numpy as np
import pytest
from scipy.stats import norm, t

from lampbench.report.statistics import interval, paired
from tests.shared.recorded import of_users


def spread(users=12, queries=3, shift=0.0, seed=0):
    """Scores around 0.5 + shift; the same users and queries differ alike for every shift."""
    rng = np.random.default_rng(seed)
    return {f"u{u}": [0.5 + shift + float(x) for x in 0.05 * rng.standard_normal(queries)]
            for u in range(users)}  # fmt: skip


def flat(scores):
    return {(u, f"q{q}"): value for u, values in scores.items() for q, value in enumerate(values)}


def test_gains_by_hand(scored, read, cells):
    ours, theirs = spread(shift=0.1), spread()
    ours["u0"], ours["u1"] = theirs["u0"], [value - 0.02 for value in theirs["u1"]]
    scored("cope", ours)
    scored("oppu", theirs)
    row = cells(read("gains"), "CoPe over OPPU", marks=True)["News Headline"]
    assert row["Metric"] == "ROUGE-L"  # the last row of that name; half of ROUGE-1
    halves = [{q: v / 2 for q, v in flat(scores).items()} for scores in (ours, theirs)]
    one, other = (interval(scores).mean for scores in halves)
    found = paired(*halves)
    assert found.detectable is not None
    low, high = 100 * found.difference.low, 100 * found.difference.high
    assert row["Points"] == f"{100 * (one - other):+.2f} [{low:+.2f}, {high:+.2f}]"
    assert row["Detectable"] == f"{100 * found.detectable:.2f}"
    assert (row["Users better"], row["equal"], row["worse"]) == ("10", "1", "1")
    assert row["Relative %"] == f"{100 * (one / other - 1):+.2f}"
    assert row["p (bootstrap)"] == f"{found.bootstrap:.3f}"
    assert row["p (exchange)"] == f"{found.exchange:.3f}"
    # the two metrics' tests are the same, since one is half of the other
    assert row["p (Holm)"] == f"{2 * found.exchange:.3f}"
    assert "paper %" not in row


MISTRAL = {
    "model": "mistral",
    "model_details": {"location": "mistralai/Mistral-7B-Instruct-v0.3", "fingerprint": "m"},
}
"""The paper's own model, beside whose runs its figures stand."""


def test_mean_gain_over_tasks_is_the_papers(scored, read, cells):
    tasks = ("abstract_generation", "review_writing", "topic_writing", "news_headline",
             "scholarly_title")  # fmt: skip
    for place, task in enumerate(tasks):
        theirs = {"a": [0.2, 0.2 if place else 0.4], "b": [0.2 if place else 0.4]}
        scored("cope", {"a": [0.4, 0.4], "b": [0.4]}, task, **MISTRAL)
        scored("tam", theirs, task, **MISTRAL)
    row = cells(read("gains"), "CoPe over TAM")["Mean of 5"]
    assert row["Metric"] == "ROUGE-L"
    assert row["paper %"] == "+10.57"
    # four tasks doubled, one at 0.4 over 1 / 3
    assert row["Relative %"] == "+84.00"
    assert "CoPe over OPPU" not in read("gains")


def test_a_task_counts_once_in_a_mean_over_tasks(scored, read, cells):
    """Runs on few users and on all of them are two columns of it."""

    def both(score, task, users, name, **data):
        everyone = {user: [score, score] for user in users}
        scored("oppu", everyone, task, key=f"oppu {name}", **data)
        scored("tam", {user: [0.2, 0.2] for user in users}, task, key=f"tam {name}", **data)

    both(0.4, "news_headline", "ab", "news")
    both(0.8, "topic_writing", "ab", "few", dataset=of_users(2))
    scored("cope", {"a": [0.8, 0.8], "b": [0.8, 0.8]}, "topic_writing", dataset=of_users(2))
    both(0.6, "topic_writing", "abc", "all", dataset=of_users(None))
    read_page = read("gains")
    table = cells(read_page, "OPPU over TAM")
    assert "Mean of 3" not in table
    assert (table["Mean of 2"]["Metric"], table["Mean of 2"]["Points"]) == ("ROUGE-L", "+15.00")
    assert "Of a task with several columns, that with the most users is in them." in read_page


def test_a_gain_that_the_paper_cannot_tell_is_left_open(scored, read, cells):
    for task in ("news_headline", "diary"):
        scored("cope", {"a": [0.4, 0.4], "b": [0.4]}, task, **MISTRAL)
        scored("oppu", {"a": [0.2, 0.2], "b": [0.2]}, task, **MISTRAL)
    table = cells(read("gains"), "CoPe over OPPU")
    assert table["News Headline"]["paper %"] == "+1.10"  # 100 * (0.184 / 0.182 - 1)
    assert (table["diary"]["paper %"], table["Mean of 2"]["paper %"]) == ("—", "—")


def test_planned_comparisons_are_the_papers_and_those_of_controls(scored, read):
    for method in ("base", "tam", "tam_head", "oppu", "cope", "mine"):
        scored(method, {"a": [0.4, 0.3], "b": [0.4]})
    found = re.findall(r"^### (.*)", read("gains"), re.MULTILINE)
    assert found == [
        "CoPe over TAM",
        "CoPe over OPPU",
        "OPPU over TAM",
        "CoPe over Base",
        "tam_head over TAM",
        "CoPe over tam_head",
    ]


def test_a_p_value_is_never_zero(scored, read, cells):
    scored("cope", spread(shift=0.1))
    scored("oppu", spread())
    row = cells(read("gains"), "CoPe over OPPU")["News Headline"]
    found = paired(flat(spread(shift=0.1)), flat(spread()))
    assert found.exchange < 0.0005  # 2 of 4,096 exchanges
    assert row["p (exchange)"] == "\\<0.001"
    # no resample is below zero; as far out as 1 of 10,001, in Student's t of 11 degrees of freedom
    far = norm.isf(1 / 10_001) / (12 / 11) ** 0.5
    assert row["p (bootstrap)"] == f"{2 * t.sf(far, 11):.3f}" == "0.004"


def by_seed(scored, shifts, method="cope", over="oppu", **kwargs):
    for seed, shift in enumerate(shifts):
        scored(method, spread(shift=shift, **kwargs), seed=seed)
        scored(over, spread(**kwargs), seed=seed)


def test_seeds_stand_beside_a_gain(scored, read, cells):
    by_seed(scored, (0.08, 0.1, 0.12))
    row = cells(read("gains"), "CoPe over OPPU")["News Headline"]
    far = t.ppf(0.975, 2) / 3**0.5  # the standard deviation of seeds is one point of ROUGE-L
    assert (row["Seeds"], row["By seed"]) == ("3", "+4.00 to +6.00")
    assert row["Users and seeds"] == f"+{5 - far:.2f} to +{5 + far:.2f}"
    assert "Seeds 1:" not in read("gains")


def test_one_seed_is_said_to_be_one(scored, read, cells):
    scored("cope", spread(shift=0.1))
    scored("oppu", spread())
    row = cells(read("gains"), "CoPe over OPPU")["News Headline"]
    assert (row["Seeds"], row["By seed"], row["Users and seeds"]) == ("1", "n/a", "n/a")
    assert "Seeds 1: how much such a difference varies between seeds is unknown" in read("gains")
    assert "One seed per score (seed 0)" in read("main")


def test_scores_of_one_seed_among_others_are_named(scored, read):
    by_seed(scored, (0.08, 0.1))
    scored("tam", spread())
    assert "One seed only, where others have several: News Headline: TAM." in read("main").replace(
        "tam", "TAM"
    )


def test_two_methods_are_compared_on_the_seeds_that_both_have(scored, read, cells):
    scored("oppu", spread())
    for seed, shift in enumerate((0.1, 0.3)):
        scored("cope", spread(shift=shift), seed=seed)
    row = cells(read("gains"), "CoPe over OPPU")["News Headline"]
    mean = np.mean(list(flat(spread()).values()))
    assert (row["Points"].split()[0], row["Seeds"]) == ("+5.00", "1")  # ROUGE-L is half
    assert row["Relative %"] == f"{100 * 0.1 / mean:+.2f}"


def test_a_method_that_draws_nothing_is_compared_with_every_seed(scored, read, cells):
    parts = {"adaptation": None, "decoding": {"part": "greedy"}}
    scored("tam", spread(), method_parts=parts, stages=[{"stage": "predict", "key": "p"}])
    for seed, shift in enumerate((0.08, 0.12)):
        scored("cope", spread(shift=shift), seed=seed)
    row = cells(read("gains"), "CoPe over TAM")["News Headline"]
    assert (row["Seeds"], row["By seed"]) == ("2", "+4.00 to +6.00")
    assert "One seed" not in read("main")
    scored("oppu", spread(), method_parts=parts, stages=[{"stage": "predict", "key": "q"}])
    assert cells(read("gains"), "OPPU over TAM")["News Headline"]["Seeds"] == "none drawn"


@pytest.mark.parametrize(
    ("retriever", "seeds"), [("bm25", "none drawn"), ("random_records", "1"), ("a_plugin", "1")]
)
def test_a_prompt_of_drawn_records_depends_on_the_seed(scored, read, cells, retriever, seeds):
    for method, shift in (("rag", 0.1), ("rag_random", 0.0)):
        own = retriever if method == "rag_random" else "bm25"
        prompting = {"part": "retrieval_augmented", "retriever": {"part": own}}
        parts = {"adaptation": None, "decoding": {"part": "greedy"}, "prompting": prompting}
        stages = [{"stage": "predict", "key": method}]
        scored(method, spread(shift=shift), method_parts=parts, stages=stages)
    table = cells(read("gains"), "RAG over rag_random")
    assert table["News Headline"]["Seeds"] == seeds


def test_few_users_who_carry_a_gain_are_named(scored, read):
    theirs = spread(users=40)
    ours = {user: [value + (0.3 if int(user[1:]) < 4 else 0.001) for value in row]
            for user, row in theirs.items()}  # fmt: skip
    scored("cope", ours)
    scored("oppu", theirs)
    note = "4 of 40 users carry 97% of what users differ by in this direction"
    assert f"News Headline (ROUGE-1), News Headline (ROUGE-L): {note}" in read("gains")
    assert "few users carry most of the difference: News Headline" in read("main")


def test_a_gain_of_all_users_needs_no_warning(scored, read):
    scored("cope", spread(users=40, shift=0.02))
    scored("oppu", spread(users=40))
    assert "users carry" not in read("gains") and "users carry" not in read("main")
