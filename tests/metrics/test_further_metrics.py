"""Diversity, BLEU, style and copying: values worked out by hand, and what they are blind to."""

import math
import re
from collections import Counter

import pytest

from lampbench.core.dataset import Query, User
from lampbench.data import DataOptions, load_dataset
from lampbench.registry import Registry
from lampbench.scoring import (
    METRICS,
    Means,
    PredictionRow,
    Scoring,
    aggregate,
    histories,
    iter_scores,
    score_predictions,
)
from lampbench.scoring import score_in_processes as module
from lampbench.util.errors import LampbenchError


def score(prediction, reference="x", history=None, truncated=False):
    row = PredictionRow("u", "q", prediction, reference, truncated=truncated)
    known = None if history is None else {"u": tuple(history)}
    return score_predictions([row], None, Scoring(histories=known))[0]


# "the cat" of two and three pairs: precision 1/2, recall 1/3, F1 = 2/5.
@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("the cat ran", "the cat sat down", 2 / 5),
        ("The cat.", "the cat", 1.0),
        ("cat the", "the cat", 0.0),
        ("cat", "cat", 0.0),
        ("", "the cat", 0.0),
    ],
)
def test_rouge2_by_hand(prediction, reference, expected):
    assert score(prediction, reference)["rouge2"] == pytest.approx(expected)


def test_bleu_by_hand():
    assert score("a b c d e", "a b c d e")["bleu"] == pytest.approx(1.0)
    # precisions 4/5, 2/4, 1/3; no 4-gram of 2, smoothed to 1/2 of 1/2; no brevity penalty
    expected = (4 / 5 * 2 / 4 * 1 / 3 * 1 / 4) ** (1 / 4)
    assert score("a b c x e", "a b c d e")["bleu"] == pytest.approx(expected)
    # effective order: the two n-gram orders that the text has; penalty exp(1 - 5/2)
    assert score("a b", "a b c d e")["bleu"] == pytest.approx(math.exp(1 - 5 / 2))
    assert score("A", "a")["bleu"] == 0.0
    assert score("", "a")["bleu"] == 0.0


def test_bleu_is_sacrebleus_sentence_bleu():
    from sacrebleu import sentence_bleu

    pairs = [("The cat, on a mat.", "A cat (the) on the mat."), ("x y", "y x z"), ("5.5%", "5.4%")]
    for ours, theirs in pairs:
        assert score(ours, theirs)["bleu"] == sentence_bleu(ours, [theirs]).score / 100


def test_length_and_diversity_by_hand():
    found = score("a b a b c", "one two")
    assert found["length_ratio"] == 2.5
    assert found["distinct1"] == pytest.approx(3 / 5)
    assert found["distinct2"] == pytest.approx(3 / 4)
    empty = score("", "one")
    assert (empty["length_ratio"], empty["distinct1"], empty["distinct2"]) == (0.0, 1.0, 1.0)
    assert score("a", "")["length_ratio"] is None


HISTORY = ["We walked, along the River today.", "Fish are biting again"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("we walked along the river today", 1.0),  # case and punctuation aside
        ("we walked along the sea", 1 / 2),
        ("river today Fish are biting", 0.0),  # no 4-gram crosses from text to text
        ("along the river", 0.0),  # too short to have one
        ("", 0.0),
    ],
)
def test_copying_by_hand(text, expected):
    assert score(text, "x", HISTORY)["history_copy"] == pytest.approx(expected)
    assert score("x", text, HISTORY)["reference_history_copy"] == pytest.approx(expected)


def cng(text, texts, n=4):
    """Keselj's distance with the sum over the text's n-grams, term by term."""

    def counts(text: str) -> Counter[str]:
        return Counter(text[i : i + n] for i in range(len(text) - n + 1))

    own, all_ = counts(text), sum((counts(t) for t in texts), Counter[str]())
    terms = []
    for gram, count in own.items():
        f, h = count / own.total(), all_[gram] / all_.total()
        terms.append((2 * (f - h) / (f + h)) ** 2)
    return sum(terms), len(terms)


def test_style_is_one_less_the_scaled_cng_distance():
    history, text = ["abcdefg abcd", "the abcd"], "abcd the axe"
    distance, grams = cng(text, history)
    assert score(text, "x", history)["style"] == pytest.approx(1 - distance / (4 * grams))


def test_style_has_its_ends():
    assert score("the same text", "x", ["the same text"])["style"] == 1.0
    assert score("the  same\ntext", "x", ["the same text"])["style"] == 1.0
    assert score("nothing shared", "x", ["ZZZZZZ"])["style"] == 0.0
    assert score("abc", "x", ["abc"])["style"] == 0.0
    assert score("THE SAME TEXT", "x", ["the same text"])["style"] == 0.0


def test_a_profile_does_not_depend_on_the_order_of_records(monkeypatch):
    monkeypatch.setattr("lampbench.metrics.style.LENGTH", 5)
    texts = ["abcdefgh", "ijklmnop"]
    found = score("abcdefgh", "x", texts)["style"]
    assert found == score("abcdefgh", "x", texts[::-1])["style"] > 0


def test_style_tells_authors_apart():
    """A user's own reference is likelier by their own history than by another user's."""
    dataset = load_dataset(Registry().task("topic_writing"), "bundled", DataOptions(users=6))

    def answered(user: User, query: Query) -> PredictionRow:
        assert query.reference is not None
        return PredictionRow("u", f"{user.id} {query.id}", query.reference, None, truncated=False)

    rows = [answered(user, query) for user in dataset.test_users for query in user.queries[:3]]
    like = {}
    for author, texts in histories(dataset).items():
        scoring = Scoring(("style",), histories={"u": texts})
        like[author] = [row["style"] for row in score_predictions(rows, None, scoring)]
    writers = [user.id for user in dataset.test_users for _ in user.queries[:3]]
    better = [
        like[writer][i] > like[other][i]
        for i, writer in enumerate(writers)
        for other in like
        if other != writer
    ]
    assert sum(better) / len(better) > 0.75


def test_without_history_nothing_is_made_up():
    found = score("a b c d e", "x")
    missing = {name for name, value in found.items() if value is None}
    assert missing - {"meteor"} == {"style", "history_copy", "reference_history_copy"}
    rows = [PredictionRow(user, "q", "abcd", "x", truncated=False) for user in ("known", "unknown")]
    scores = score_predictions(rows, None, Scoring(histories={"known": ("abcd",)}))
    assert [row["style"] for row in scores] == [1.0, None]
    assert aggregate(scores)["style"] == Means(None, None)


def test_a_withheld_reference_and_an_unknown_clipping_are_null():
    found = score("a b c d e", None, HISTORY, truncated=None)
    null = {name for name, value in found.items() if value is None}
    assert null == {name for name, metric in METRICS.items() if metric.compares} | {"truncated"}


def test_other_processes_know_the_histories(monkeypatch):
    monkeypatch.setattr(module, "_TRIAL", 0.0)
    monkeypatch.setattr(module, "_STARTING", -1.0)
    monkeypatch.setattr(module, "usable_cores", lambda: 2)
    rows = [
        PredictionRow(f"u{n // 50}", str(n), f"we walked along the {n}", "x", truncated=False)
        for n in range(200)
    ]
    known = {"u0": tuple(HISTORY), "u1": ("walked along the 60",), "u3": ()}
    scoring = Scoring(("history_copy", "style"), histories=known)
    expected = list(iter_scores(rows, scoring))
    assert list(score_predictions(rows, None, scoring)) == expected
    assert [row["history_copy"] for row in expected[::50]] == [0.5, 0.0, None, 0.0]
    assert expected[60]["history_copy"] == 0.5


PLUGIN = """
from lampbench.plugin import Metric, register_metric

@register_metric("exclaims")
class Exclaims(Metric):
    '''Exclamation marks in the answer.'''

    title = "Exclamation marks"
    high = {high}

    def score(self, answer):
        return {value}
"""


@pytest.fixture
def plugin(tmp_path):
    def write(value="answer.text.count('!')", high="None"):
        file = tmp_path / "exclaims.py"
        file.write_text(PLUGIN.format(value=value, high=high))
        return file

    return write


def ask(file, *texts, metrics=("rouge1", "exclaims")):
    rows = [PredictionRow("u", str(i), text, "x", truncated=False) for i, text in enumerate(texts)]
    return score_predictions(rows, None, Scoring(metrics, (file,)))


def test_a_metric_of_ones_own(plugin, monkeypatch):
    file = plugin()
    expected = [{"user": "u", "query": "0", "rouge1": 1.0, "exclaims": 2}]
    assert list(ask(file, "x!!")) == expected
    monkeypatch.setattr(module, "_TRIAL", 0.0)
    monkeypatch.setattr(module, "_STARTING", -1.0)
    monkeypatch.setattr(module, "usable_cores", lambda: 2)
    assert [row["exclaims"] for row in ask(file, *["!"] * 99)] == [1] * 99


@pytest.mark.parametrize(
    ("value", "high", "said"),
    [
        ("1 / 0", "None", r"exclaims failed on query .0. of .u. in .*py:\d+: ZeroDivisionError"),
        ("float('nan')", "None", "gave nan for query '0' of 'u'"),
        ("'many'", "None", "gave 'many'"),
        ("2", "1.0", "a number from 0 to 1, or None"),
        ("-1", "None", r"a number from 0 to 1e\+100, or None"),
        ("1e200", "None", r"gave 1e\+200"),
        ("10**400", "None", r"gave 10*\.\.\. for query"),
    ],
)
def test_a_metric_that_fails_is_named_with_the_query(plugin, value, high, said):
    with pytest.raises(LampbenchError, match=said):
        ask(plugin(value, high), "text")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("(Metric)", "", "must be a subclass of Metric"),
        ("    title = \"Exclamation marks\"\n", "", "set title"),
        ("def score", "def count", r"override score\(answer\)"),
        ("high = None", "better = 'up'", "better must be higher, lower or neither"),
        ("high = None", "low = None", "low must be a number, not None"),
        ("high = None", "high = '1'", "high must be a number, or None where there is no upper end"),
        ("high = None", "high = float('nan')", "high must be a number"),
        ("high = None", "summary_range = 1.0", "summary_range must be the lowest and the highest"),
        ("high = None", "summary_range = (0, '1')", r"None\), not \(0, '1'\)"),
        ('register_metric("exclaims")', 'register_metric("user")', "cannot be a metric's name"),
        ('register_metric("exclaims")', 'register_metric("rouge1")', "registered twice"),
    ],
)  # fmt: skip
def test_a_class_that_is_no_metric_says_so(plugin, old, new, said):
    file = plugin()
    body = file.read_text()
    assert old in body
    file.write_text(body.replace(old, new))
    name = "exclaims" if "register" not in old else new.split('"')[1]
    with pytest.raises(LampbenchError, match=said):
        Registry([file]).metric(name)


def test_an_unknown_metric_gets_the_nearest():
    with pytest.raises(LampbenchError, match="no metric is called 'rogue1': did you mean rouge1"):
        score_predictions([], None, Scoring(("rogue1",)))


def test_every_built_in_metric_says_what_it_is():
    rows = Registry().rows("metric")
    of_tasks = {name for task in Registry().rows("task") for name in task.plugin.metrics}
    assert {*METRICS, "bertscore", "judge"} | of_tasks == {row.name for row in rows}
    for row in rows:
        assert row.error is None
        assert row.plugin.title
        text = type(row.plugin).__doc__
        assert text and re.search(r"[\[(][-\d]+, \d[\])]|0 and up|1 if", text)
