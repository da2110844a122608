"""The sentences: they follow from the runs, whatever these say."""

import re

import numpy as np
import pytest

from lampbench.record.runs import load_runs
from lampbench.report.contents import arrange
from lampbench.report.statistics import paired
from lampbench.report.takeaways import main_setup, takeaways
from tests.shared.recorded import of_users


@pytest.fixture
def said(tmp_path):
    """A function that gives the sentences about the recorded runs, by question."""

    def read():
        board = arrange(load_runs(tmp_path / "results")[0]).board
        setup = main_setup(board)
        assert setup is not None
        return {one.question: one.answer for one in takeaways(board, setup)}

    return read


BEST, NOTHING, WEIGHTS, METHOD, CONTRAST, DATA = (
    "Which method is best?",
    "Is that better than no personalization?",
    "Do a user's own weights help?",
    "Does the paper's method help more?",
    "Is that its contrast?",
    "What can these data tell?",
)


def spread(shift=0.0, users=12):
    rng = np.random.default_rng(0)
    return {f"u{u}": [0.4 + shift + float(x) for x in 0.1 * rng.standard_normal(3)]
            for u in range(users)}  # fmt: skip


def noise(scores, up=0.01):
    """The scores moved up for every second user, and down by 0.01 for the others."""
    return {
        user: [value + (up if place % 2 else -0.01) for value in row]
        for place, (user, row) in enumerate(scores.items())
    }


def test_a_method_that_is_better_everywhere(scored, said):
    for method, shift in (("base", 0.0), ("tam", 0.1), ("oppu", 0.2), ("cope", 0.3)):
        for task in ("news_headline", "review_writing"):
            scored(method, spread(shift), task, dataset={"synthetic": task == "review_writing"})
    found = said()
    assert list(found) == [BEST, NOTHING, WEIGHTS, METHOD, CONTRAST, DATA]
    assert found[BEST] == (
        "Highest in ROUGE-L, with how many of the paper's other methods are significantly worse: "
        "CoPe on Review Writing † (3 of 3 that have run) and News Headline (3 of 3 that have run)."
    )
    # ROUGE-L is half of ROUGE-1
    for question, ours, theirs, gain in (
        (NOTHING, "CoPe", "Base", 15), (WEIGHTS, "OPPU", "TAM", 5), (METHOD, "CoPe", "OPPU", 5),
    ):  # fmt: skip
        each = f"+{gain}.00 [+{gain}.00, +{gain}.00], one seed"
        assert found[question] == (
            f"{ours} gains +{gain}.0 points over {theirs} on 2 tasks, significant on Review "
            f"Writing † ({each}) and News Headline ({each})."
        )
    assert "TAM + V_head" not in found[CONTRAST] and "has no run" in found[CONTRAST]
    assert found[DATA] == (
        "With 12 test users and 36 queries per task (Review Writing †: synthetic), it is unknown "
        "how small a difference would be found."
    )


def test_where_not_all_methods_have_run_it_is_said_of_those_that_have(scored, said):
    for method, shift in zip(("base", "rag", "pag", "tam", "oppu", "cope"), range(6), strict=True):
        scored(
            method, noise(spread(0.1 * shift), up=0.0) if method == "cope" else spread(0.1 * shift)
        )
    for method, score in (("base", noise(spread(0.1), up=0.0)), ("rag", spread(0.0))):
        scored(method, score, "abstract_generation")
    found = said()
    assert "Base on abstract_generation (1 of 1 that have run)" in found[BEST]
    assert "CoPe on News Headline (5 of 5)" in found[BEST]
    assert re.search(r"and 0\.[1-9] points between CoPe and OPPU \(News Headline\)", found[DATA])
    assert re.search(
        r"is 0\.[1-9] points between RAG and Base \(abstract_generation\)", found[DATA]
    )


def test_a_task_on_few_users_and_on_all_is_one_task(scored, said):
    for method, score in (("tam", spread(0.1, 8)), ("oppu", spread(0.2, 8)),
                          ("cope", noise(spread(0.3, 8), up=0.0))):  # fmt: skip
        scored(method, score, dataset=of_users(8), key=f"few {method}")
    for method, score in (("tam", spread(0.1)), ("oppu", noise(spread(0.4), up=0.0))):
        scored(method, score, dataset=of_users(None), key=f"all {method}")
    found = said()
    assert "on 1 task, significant on" in found[WEIGHTS]
    assert "between CoPe and OPPU (News Headline (8 users))" in found[DATA]
    assert "between OPPU and TAM (News Headline (12 users))" in found[DATA]


def test_another_leader_in_the_other_metric_is_told(scored, said):
    scored("oppu", spread(0.1), rouge_l=0.2)
    scored("cope", spread(), rouge_l=0.8)
    assert said()[BEST].endswith(
        "CoPe on News Headline (1 of 1 that have run). In ROUGE-1 it is OPPU on News Headline."
    )


def test_methods_that_cannot_be_told_apart(scored, said):
    theirs, ours = spread(), noise(spread(), up=0.012)
    scored("oppu", theirs)
    scored("cope", ours)
    found = said()
    assert ": CoPe on News Headline (0 of 1 that have run)." in found[BEST]
    assert re.fullmatch(r"CoPe gains \S+ points over OPPU on 1 task, significant on none\.",
                        found[METHOD])  # fmt: skip
    flat = [{(u, str(q)): v / 2 for u, row in scores.items() for q, v in enumerate(row)}
            for scores in (ours, theirs)]  # fmt: skip
    detectable = paired(*flat).detectable
    assert detectable is not None and f"is {100 * detectable:.1f} points" in found[DATA]
    assert found[WEIGHTS] == "No task has runs of both OPPU and TAM."


def test_a_method_that_is_worse(scored, said):
    scored("oppu", spread(0.1))
    scored("cope", spread())
    assert said()[METHOD] == (
        "CoPe gains -5.0 points over OPPU on 1 task, significant on News Headline "
        "(-5.00 [-5.00, -5.00], one seed)."
    )


def test_a_claim_in_one_precision_says_what_others_find(scored, said):
    """Those in which nothing else differs."""
    for method, main, other in (("oppu", 0.1, 0.1), ("tam", 0.0, 0.1), ("base", 0.0, 0.0)):
        for dtype, preset, score in (
            ("bfloat16", "small", spread(main)), ("float32", "small", spread(other)),
            (None, "small", spread(other)), ("float32", "paper", spread(main)),
        ):  # fmt: skip
            if (method, dtype) == ("base", "bfloat16") or method != "base":
                details = {"dtype": dtype, "fingerprint": "f"}
                key = f"{method} {dtype} {preset}"
                scored(method, score, model_details=details, preset=preset, key=key)
    assert said()[WEIGHTS] == (
        "OPPU gains +5.0 points over TAM on 1 task, significant on News Headline (+5.00 "
        "[+5.00, +5.00], one seed; in unknown precision 0.00 [0.00, 0.00]; in float32 0.00 "
        "[0.00, 0.00])."
    )


def test_a_control_that_explains_the_gain(scored, said):
    scored("tam", spread(), method_title="TAM")
    scored("tam_head", spread(0.1), method_title="TAM + V_head")
    scored("cope", noise(spread(0.1)))
    assert said()[CONTRAST] == (
        "The control has the plausible set of equation 1, but no user's own weights: TAM + "
        "V_head gains +5.0 points over TAM on 1 task, significant on News Headline (+5.00 "
        "[+5.00, +5.00], one seed); CoPe gains 0.0 points over TAM + V_head on "
        "1 task, significant on none."
    )


def test_a_claim_on_several_seeds_says_what_other_seeds_may_change(scored, said):
    """Three seeds, whose gains are 4, 5 and 6 points of ROUGE-L for every user."""
    for seed, shift in enumerate((0.08, 0.1, 0.12)):
        scored("oppu", spread(), seed=seed)
        scored("cope", spread(shift), seed=seed)
    far = 4.302653 / 3**0.5  # Student's t with two degrees of freedom; seeds' sd is one point
    assert said()[METHOD] == (
        "CoPe gains +5.0 points over OPPU on 1 task, significant on News Headline (+5.00 [+5.00, "
        "+5.00]; by seed +4.00, +5.00 and +6.00; for other seeds too "
        f"[+{5 - far:.2f}, +{5 + far:.2f}])."
    )


def test_equal_methods_share_the_first_place(scored, said):
    for method in ("tam", "oppu", "cope"):
        scored(method, spread(0.1 if method != "tam" else 0.0))
    assert ": OPPU and CoPe on News Headline (1 of 1 that have run)." in said()[BEST]


def test_a_single_run_says_that_nothing_can_be_compared(scored, said):
    scored("cope", spread())
    found = said()
    assert found[BEST] == "No task has runs of two of the paper's methods."
    assert found[METHOD] == "No task has runs of both CoPe and OPPU."
    assert found[DATA] == (
        "With 12 test users and 36 queries per task, no difference between two methods can be "
        "tested."
    )


def test_the_setup_with_the_most_cells_is_the_main_one(scored, tmp_path):
    scored("cope", spread(), model="a", key="1")
    for method in ("cope", "oppu"):
        scored(method, spread(), model="b", key="2")
    for method in ("mine", "yours", "theirs"):
        scored(method, spread(), model="c", key="3")
    board = arrange(load_runs(tmp_path / "results")[0]).board
    setup = main_setup(board)
    assert setup is not None and setup.model == "b"


def test_without_a_method_of_the_paper_there_is_no_main_setup(scored, tmp_path, read):
    scored("mine", spread())
    assert main_setup(arrange(load_runs(tmp_path / "results")[0]).board) is None
    assert "No run of the paper's methods is recorded." in read("leaderboard")
    assert "| mine" in read("further-methods")
