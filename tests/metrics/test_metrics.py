"""Scores against values worked out by hand and against rouge_score as `evaluate` calls it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lampbench.scoring import (
    METRICS,
    Counts,
    Means,
    ScoreTable,
    aggregate,
    counts,
    score_predictions,
)
from tests.metrics.scored_texts import python, row, texts


def score(prediction, reference):
    return score_predictions([row(prediction, reference)])[0]


# 4 of 4 words found, 4 of 5 recalled: F1 = 8/9. Longest common subsequence "the on" (or "the
# cat", ...): 2 of 4 and 2 of 5: F1 = 4/9.
@pytest.mark.parametrize(
    ("prediction", "reference", "rouge1", "rouge_l"),
    [
        ("mat the on cat", "the cat on the mat", 8 / 9, 4 / 9),
        ("the cat sat on the mat", "the cat lay on a mat", 2 / 3, 2 / 3),
        ("the the the", "the cat", 2 / 5, 2 / 5),
        ("Hello, World!", "hello world", 1.0, 1.0),
        ("cats", "cat", 0.0, 0.0),
        ("b\na", "a b", 1.0, 1 / 2),
        ("", "a b", 0.0, 0.0),
        ("a b", "", 0.0, 0.0),
        ("日本", "日本", 0.0, 0.0),
    ],
)
def test_rouge_by_hand(prediction, reference, rouge1, rouge_l):
    found = score(prediction, reference)
    assert found["rouge1"] == pytest.approx(rouge1)
    assert found["rougeL"] == pytest.approx(rouge_l)


PAIRS = [
    ("Predictable performance management", " Predictable Quality-of-User-Experience Management\n"),
    ("running runs ran", "run running"),
    ("one two three\nfour five", "five four\nthree two one"),
    ("It's a well-known café.", "Its a well known cafe"),
    ("x " * 50, "x y " * 20),
    ("", "nothing"),
]


def as_evaluate_does(pairs, aggregator=None):
    """What evaluate's rouge metric does with LaMP's stripped predictions and [reference] lists."""
    from rouge_score.rouge_scorer import RougeScorer

    types = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = RougeScorer(rouge_types=types, use_stemmer=False, tokenizer=None)
    found = [scorer.score_multi([ref.strip()], pred.strip()) for pred, ref in pairs]
    if aggregator is None:
        return {name: [one[name].fmeasure for one in found] for name in types}
    for one in found:
        aggregator.add_scores(one)
    return {name: value.mid.fmeasure for name, value in aggregator.aggregate().items()}


def test_rouge_of_each_pair_equals_evaluate_without_its_aggregator():
    expected = as_evaluate_does(PAIRS)
    found = [score(*pair) for pair in PAIRS]
    for name in ("rouge1", "rougeL"):
        assert [one[name] for one in found] == expected[name]


def test_mean_is_what_evaluates_bootstrap_scatters_around():
    import numpy as np
    from rouge_score.scoring import BootstrapAggregator

    pairs = PAIRS * 30
    rows = [row(*pair, query=str(i)) for i, pair in enumerate(pairs)]
    found = aggregate(score_predictions(rows))
    np.random.seed(0)  # rouge_score draws from the global generator
    middle = as_evaluate_does(pairs, BootstrapAggregator())
    for name in ("rouge1", "rougeL"):
        assert found[name].queries == pytest.approx(middle[name], abs=5e-3)


def test_controls():
    found = score_predictions([row("  a b a b a b \n", "one two", truncated=True)])[0]
    # 4-grams: abab, baba, abab: one of three occurred before
    assert found["repetition"] == pytest.approx(1 / 3)
    assert (found["words"], found["reference_words"], found["truncated"]) == (6, 2, True)
    assert score("a a a a", "x")["repetition"] == 0.0
    assert score("a b c d e f", "x")["repetition"] == 0.0
    assert score("a " * 104, "x")["repetition"] == pytest.approx(1 - 1 / 101)


def test_every_column_is_a_described_metric():
    assert set(score("a", "b")) - {"user", "query"} == set(METRICS)


def test_withheld_reference_leaves_comparisons_out():
    found = score_predictions([row("a b", "a b", query="1"), row("c", None, query="2")])
    assert [found[1][name] for name in ("rouge1", "rougeL", "meteor", "reference_words")] == [
        None
    ] * 4
    means = aggregate(found)
    assert means["rouge1"].queries == 1.0
    assert means["words"].queries == 1.5
    assert counts(found) == Counts(users=1, queries=2, scored_users=1, scored_queries=1)


def test_aggregates_over_queries_and_over_users():
    scores = [
        {"user": "a", "query": "1", "rouge1": 1.0},
        {"user": "a", "query": "2", "rouge1": 1.0},
        {"user": "a", "query": "3", "rouge1": 1.0},
        {"user": "b", "query": "1", "rouge1": 0.0},
    ]
    table = ScoreTable.from_rows(scores)
    assert aggregate(table) == {"rouge1": Means(queries=0.75, users=0.5)}
    assert aggregate(ScoreTable.from_rows(scores[::-1])) == aggregate(table)


def test_a_mean_never_stands_for_fewer_queries():
    scores = [
        {"user": "a", "query": "1", "rouge1": 1.0, "meteor": 0.5},
        {"user": "a", "query": "2", "rouge1": 1.0, "meteor": None},
    ]
    assert aggregate(ScoreTable.from_rows(scores))["meteor"] == Means(None, None)
    assert aggregate(ScoreTable.from_rows([])) == {}


def test_means_do_not_depend_on_the_order_of_rows():
    values = [1e-17, 1.0, -1.0, 3e-17] * 7
    scores: list[dict[str, Any]] = [
        {"user": "u", "query": str(i), "rouge1": v} for i, v in enumerate(values)
    ]
    other = sorted(scores, key=lambda one: one["rouge1"])
    assert aggregate(ScoreTable.from_rows(scores)) == aggregate(ScoreTable.from_rows(other))


METEOR = """
import json, sys
import nltk
nltk.data.path[:] = sys.argv[1:]
from lampbench.scoring import METRICS, PredictionRow, score_predictions
texts = [("the car stopped", "the auto stopped"), ("It sat. It ran.", "It sat . It ran ."),
         ("x", "y"), ("", "y")]
rows = [PredictionRow("u", str(i), p, r, truncated=False) for i, (p, r) in enumerate(texts)]
print(json.dumps([METRICS["meteor"].missing(), [row["meteor"] for row in score_predictions(rows)]]))
"""


def meteor(*data):
    """In a process of its own: NLTK keeps what it has loaded."""
    command = [sys.executable, "-c", METEOR, *map(str, data)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    return json.loads(done.stdout)


def test_meteor_without_data_is_null_with_a_reason():
    reason, scores = meteor()
    assert scores == [None] * 4
    assert "python -m nltk.downloader wordnet punkt_tab" in reason
    assert "\n" not in reason


@pytest.fixture
def nltk_data(tmp_path):
    """WordNet with one synset (car, auto), and a Punkt model without abbreviations."""
    wordnet = tmp_path / "corpora" / "wordnet"
    wordnet.mkdir(parents=True)
    for part in ("adj", "adv", "noun", "verb"):
        for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
            (wordnet / name).write_text("")
    for name in ("cntlist.rev", "index.sense"):
        (wordnet / name).write_text("")
    (wordnet / "lexnames").write_text("00\tadj.all\t3\n")
    # A synset's name is the place of its line in the file, here after 18 bytes of comment.
    (wordnet / "data.noun").write_text(
        "  1 as in WordNet\n00000018 00 n 02 car 0 auto 0 000 | a vehicle\n"
    )
    (wordnet / "index.noun").write_text("auto n 1 0 1 0 00000018  \ncar n 1 0 1 0 00000018  \n")
    punkt = tmp_path / "tokenizers" / "punkt_tab" / "english"
    punkt.mkdir(parents=True)
    for name in ("abbrev_types.txt", "collocations.tab", "ortho_context.tab", "sent_starters.txt"):
        (punkt / name).write_text("")
    return tmp_path


def test_meteor_by_hand(nltk_data):
    reason, scores = meteor(nltk_data)
    assert reason is None
    # Three words match in one chunk (car = auto): 1 - 0.5 (1/3)^3. Six tokens (sentences
    # are cut before words, so "sat." is two): 1 - 0.5 (1/6)^3.
    assert scores == [pytest.approx(1 - 0.5 / 27), pytest.approx(1 - 0.5 / 216), 0.0, 0.0]


def test_importing_the_metrics_loads_no_scoring_library():
    code = (
        "import lampbench.metrics, sys; "
        "print([m for m in ('nltk', 'rouge_score', 'numpy') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "[]", done.stderr


def test_rouge_is_rouge_scores_own_to_the_bit():
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
    for n in range(300):
        prediction, reference = texts(n)
        found, expected = score(prediction, reference), scorer.score(reference, prediction)
        assert found["rouge1"] == expected["rouge1"].fmeasure
        assert found["rougeL"] == expected["rougeL"].fmeasure


def test_meteor_is_nltks_own_to_the_bit(nltk_data):
    code = f"""
import nltk
nltk.data.path[:] = [{str(nltk_data)!r}]
from nltk.tokenize import word_tokenize
from nltk.translate.meteor_score import meteor_score
from lampbench.metrics.meteor import meteor_scorer
import random
draw, score = random.Random(0), meteor_scorer()
words = "run runs running ran cat cats car auto autos the a , . happy happily happiness".split()
for _ in range(200):
    ours, theirs = (" ".join(draw.choices(words, k=draw.randint(0, 40))) for _ in range(2))
    plain = meteor_score([word_tokenize(theirs)], word_tokenize(ours),
                         alpha=0.9, beta=3.0, gamma=0.5)
    assert score(ours, theirs) == plain, (ours, theirs)
print("equal")
"""
    out, err = python(code).communicate(timeout=900)
    assert out == "equal\n", err
