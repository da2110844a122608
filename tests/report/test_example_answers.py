"""`lampbench examples`: answers side by side, their shared words, and how queries are picked."""

import pytest


@pytest.fixture
def three(record, asked):
    """Runs of three methods that share ever more with the reference."""
    runs = [record("tam", good=2), record("oppu", good=7), record("cope", good=5)]
    asked(runs[0], {"article": "some | text"}, {"r1": "old"})
    return runs


def rows(text):
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines()
            if line.startswith("| ") and not line.startswith("| |")]  # fmt: skip


def test_shared_words_are_marked_and_scores_stand_beside(three, call):
    code, out, _ = call("examples", "--task", "news_headline", "--count", "1")
    assert code == 0
    shown = rows(out.replace("\\|", "/"))
    assert shown[0] == ["article", "some / text"]
    assert shown[1][0] == "User's own"
    titles = [row[0].split(" (")[0] for row in shown[2:]]
    assert titles == ["TAM", "OPPU", "CoPe"]
    marks = {title: row[1].count("**") // 2 for title, row in zip(titles, shown[2:], strict=True)}
    if "(0.000)" in out:  # the user whose answers share nothing was drawn
        assert set(marks.values()) == {0}
    else:
        assert marks == {"TAM": 2, "OPPU": 7, "CoPe": 5}


@pytest.mark.parametrize(
    ("pick", "first"), [("gain", ("a", "b")), ("loss", ("a",)), ("drawn", ("a", "b"))]
)
def test_how_queries_were_picked_is_said(three, call, pick, first):
    """CoPe loses to OPPU for user a, and nobody gains anything for user b."""
    code, out, _ = call("examples", "--task", "news_headline", "--pick", pick, "--count", "3")
    assert code == 0
    heads = [line[4:].split(",")[0] for line in out.splitlines() if line.startswith("### ")]
    assert len(heads) == 3 and heads[0] in first
    said = {"gain": "gains most", "loss": "loses most", "drawn": "not by score"}
    assert said[pick] in out


def test_gain_and_loss_are_opposite_ends(three, call):
    ends = {}
    for pick in ("gain", "loss"):
        _, out, _ = call("examples", "--task", "news_headline", "--pick", pick)
        ends[pick] = [line for line in out.splitlines() if line.startswith("### ")]
    assert ends["gain"][0] == ends["loss"][-1] == "### b, 1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "news_headlin"], "did you mean news_headline?"),
        (["--task", "news_headline", "--method", "cop"], "did you mean cope?"),
        (["--task", "news_headline", "--model", "big"], "no run with model 'big'"),
        (["--task", "news_headline", "--results", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_choices_are_one_line(three, call, arguments, said):
    code, _, err = call("examples", *arguments)
    assert code == 2 and said in err and len(err.strip().splitlines()) == 1


def test_a_score_is_that_of_the_answer_beside_it(record, call):
    """Answers are those of the lowest seed; a mean over seeds would be no score of theirs."""
    for seed, good in ((0, 2), (1, 8)):
        record("cope", good=good, seed=seed)
    record("tam", good=5)
    arguments = ("--task", "news_headline", "--count", "3", "--method", "tam", "--method", "cope")
    shown = call("examples", *arguments)[1]
    assert "CoPe (0.200)" in shown and "CoPe (0.500)" not in shown


def test_a_gain_is_that_of_common_seeds(scored, call):
    """With its second seed, which the other lacks, the first query would gain most."""
    for seed, scores in ((0, [0.5, 0.7]), (1, [1.0, 0.7])):
        scored("cope", {"a": scores}, seed=seed, rouge_l=1.0)
    scored("tam", {"a": [0.5, 0.6]}, rouge_l=1.0)
    arguments = ("--task", "news_headline", "--method", "tam", "--method", "cope")
    for pick in ("gain", "median"):
        shown = call("examples", *arguments, "--pick", pick, "--count", "1")[1]
        assert "### a, q1" in shown


def test_a_query_that_one_of_the_runs_does_not_answer_is_no_example(scored, call):
    """As after a user was removed from one of them, or failed there."""
    scored("tam", {"a": [0.1], "b": [0.2]}, key="t1")
    scored("oppu", {"a": [0.3]}, key="o1")
    scored("cope", {"a": [0.2], "b": [0.9]}, key="c1")
    scored("rag", {"c": [0.2]}, key="r1")
    named = [word for key in ("t1", "o1", "c1") for word in ("--run", key)]
    code, out, err = call("examples", *named, "--pick", "median")
    assert (code, err) == (0, "") and "cope to 0" in out and "### b" not in out
    code, _, err = call("overview", *named)
    assert code == 2 and "run again what answers fewer" in err
    code, _, err = call("overview", "--run", "t1", "--run", "r1")
    assert code == 2 and "answer no query in common" in err
