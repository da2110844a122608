"""One recorded run: what is read is what was written, and never silently altered."""

import gzip
import json
from hashlib import sha256

import pytest

from lampbench.record.manifest import Manifest
from lampbench.record.paths import run_path
from lampbench.record.recorded_run import read_run
from lampbench.record.runs import load_runs
from lampbench.scoring import Means, PredictionRow
from lampbench.util.errors import LampbenchError
from tests.record.written import PREDICTIONS, SCORES, rewrite, write
from tests.shared.recorded import record_rows


def test_what_is_written_is_read(tmp_path):
    run = write(tmp_path)
    assert run.path == run_path(tmp_path, "news_headline", "org/Model", "base", "k1")
    (loaded,), problems = load_runs(tmp_path)
    assert problems == []
    assert loaded == run == read_run(run.path)
    assert loaded.predictions == PREDICTIONS
    assert loaded.scores == SCORES
    assert loaded.manifest.scores["rouge1"] == Means(0.1 + 0.2, 0.1 + 0.2)
    assert loaded.manifest.counts.scored_queries == 1
    assert sorted(path.name for path in run.path.iterdir()) == [
        "manifest.json",
        "predictions.json.gz",
        "scores.json.gz",
    ]


def replaced(run, name, content):
    """The run as a faulty program would write it: with another file, whose hash is recorded."""
    (run.path / name).write_bytes(gzip.compress(content))
    digest = sha256((run.path / name).read_bytes()).hexdigest()
    rewrite(lambda content: content["files"].update({name: digest}))(run.path)
    return read_run(run.path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"user": ["../u", "../u"], "query": ["1", "2"], "rouge1": ["high", null]}',
         "'rouge1' must be a number or null, one is 'high'"),
        (b'{"user": ["../u", "../u"], "query": ["1"], "rouge1": [0.3]}', "equally long"),
        (b'{"user": "../u", "query": ["1"], "rouge1": [0.3]}', "not an object of lists"),
        (b'{"query": ["1"], "rouge1": [0.3]}', "user is missing"),
        (b'[]', "not an object of lists"),
        (b'{', "not JSON"),
        (b'{"user": ["../u", "../u"], "query": ["1", "2"], "rouge1": [0.4, null], '
         b'"reference_words": [1, null]}', "are not the means of this file"),
        (b'{"user": ["../u", "../u"], "query": ["1", "2"], "rouge2": [0.3, null], '
         b'"reference_words": [1, null]}', "are not the means of this file"),
    ],
)  # fmt: skip
def test_scores_that_do_not_fit_the_manifest_are_refused_when_they_are_read(
    tmp_path, content, said
):
    run = replaced(write(tmp_path), "scores.json.gz", content)
    with pytest.raises(LampbenchError, match=said) as error:
        run.scores  # noqa: B018
    assert "scores.json.gz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prediction": [1, 2]}, "prediction must be text, it is an integer"),
        ({"prediction": ["a"]}, "equally long"),
        ({"query": ["1", "9"]}, "query '9' of user '../u' is not in the dataset"),
        ({"quoted": ["r", "r"]}, "quoted must be a list"),
        ({"quoted": [[1], []]}, "quoted.0 must be text"),
        ({"tokens": [["a"], []]}, "1 tokens and 0 rewards"),
        ({"tokens": [["a"], []], "rewards": [["1"], []]}, "rewards.0 must be a number"),
        ({"tokens": [["a"], []], "rewards": [[True], []]}, "rewards.0 must be a number"),
        ({"surplus": [1, 2]}, "surplus is no known field"),
    ],
)
def test_predictions_that_are_none_are_refused_when_they_are_read(tmp_path, changes, said):
    run = write(tmp_path)
    columns = json.loads(gzip.decompress((run.path / "predictions.json.gz").read_bytes()))
    run = replaced(run, "predictions.json.gz", json.dumps({**columns, **changes}).encode())
    with pytest.raises(LampbenchError, match=said) as error:
        run.predictions  # noqa: B018
    assert "predictions.json.gz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["\ud83d", "a\udc00b", "\udc00\ud83d", "\0", "\u2028", "\ufeff", "😀"]
)
def test_texts_that_utf8_cannot_hold_are_kept(tmp_path, text):
    rows = [PredictionRow(text, text, text, text, quoted=(text,))]
    run = record_rows(tmp_path, rows, fields={text: text}, history={text: text}, method_title=text)
    (loaded,), _ = load_runs(tmp_path)
    assert loaded == run
    assert loaded.predictions == rows
    assert loaded.scores.places == [(text, text)]
    assert loaded.queries[text, text].fields == {text: text}
    assert loaded.histories == {text: {text: text}}
    assert loaded.manifest.method_title == text


def test_two_halves_of_a_pair_become_the_character_they_encode(tmp_path):
    run = record_rows(tmp_path, [PredictionRow("u", "1", "\ud83d\ude00", None)])
    assert run.predictions[0].prediction == "😀"


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    described = write(
        tmp_path, overrides={"a.b": ["q", "k"]}, versions={"torch": None}, prompt_head=[1, 2]
    ).manifest
    assert Manifest.from_json(described.to_json()) == described
    assert described.overrides == {"a.b": ("q", "k")}
