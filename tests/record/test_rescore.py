"""`lampbench score`: recorded runs scored anew, safely."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict

import pytest

from lampbench.data import load_dataset
from lampbench.record import rescore as room
from lampbench.record.dataset_files import record_dataset
from lampbench.record.runs import load_runs
from lampbench.registry import Registry
from lampbench.scoring import Means, PredictionRow, Scoring, histories, score_predictions
from tests.shared.recorded import as_json, record_rows

OLD = ("rouge1", "rougeL", "meteor", "words", "reference_words", "truncated", "repetition")
OPTIONS = {
    "data": "bundled", "users": 2, "min_history": 1, "seed": 0, "split_by": None, "splits": [],
}  # fmt: skip
FURTHER = ("rouge2", "bleu", "length_ratio", "distinct1", "distinct2", "style", "history_copy")


@pytest.fixture
def record(tmp_path, bundled_news):
    """A function that records a run as earlier versions did: without the later columns."""

    def make(key="k1", scoring=None, **changes):
        rows = [
            PredictionRow(
                user.id, query.id, f"{query.reference} again half \ud83d", query.reference,
                7, 5, 0, False,
            )
            for user in bundled_news.test_users for query in user.queries
        ]  # fmt: skip
        results = tmp_path / "results"
        data = record_dataset(results, bundled_news, Registry().task("news_headline"))
        scores = score_predictions(rows, None, scoring or Scoring(OLD))
        described = {**as_json(asdict(data)), **changes}
        return record_rows(results, rows, scores, key=key, dataset=described)

    return make


def reread(tmp_path):
    runs, problems = load_runs(tmp_path / "results")
    assert problems == []
    return runs


def test_an_old_run_gets_the_later_columns(record, call, tmp_path, bundled_news):
    old = record()
    predictions = (old.path / "predictions.json.gz").read_bytes()
    before = old.scores
    code, out, err = call("score")
    assert code == 0
    assert out.splitlines() == [f"{old.path.relative_to(tmp_path)}: scored"]
    (new,) = reread(tmp_path)
    assert (new.path / "predictions.json.gz").read_bytes() == predictions
    for was, now in zip(before, new.scores, strict=True):
        assert {name: now[name] for name in was} == was
    expected = score_predictions(new.predictions, None, Scoring(histories=histories(bundled_news)))
    assert new.scores == expected
    for name in FURTHER:
        assert new.manifest.mean(name) is not None
    assert new.manifest.created == old.manifest.created
    assert "smooth:exp" in new.manifest.scoring.signatures["bleu"]
    assert "style is null" not in err


@pytest.mark.parametrize("data", ["bundled", "lampbench:/somewhere/private"])
def test_data_that_a_submission_names_is_not_read(record, call, tmp_path, monkeypatch, data):
    """It may name any place of this machine."""
    read = []

    def load(task, place, options):
        read.append(place)
        return load_dataset(task, "bundled", options)

    monkeypatch.setattr(room, "load_dataset", load)
    run = record(options=OPTIONS | {"data": data})
    assert call("submit", run.path, "--name", "X", "--with-texts")[0] == 0
    shutil.rmtree(run.path)
    code, _, err = call("score")
    assert code == 0 and read == (["bundled"] if data == "bundled" else [])
    assert ("the place of data that it names is not read" in err) == (data != "bundled")
    assert call("score", "--data", "bundled")[0] == 0
    (found,) = reread(tmp_path)
    assert found.submitter == "X" and found.manifest.mean("style") is not None


def test_twice_is_once(record, call, tmp_path):
    record()
    call("score")
    before = {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.json*")}
    code, out, _ = call("score")
    assert (code, out.count("up to date")) == (0, 1)
    assert {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.json*")} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {**OPTIONS, "data": "lamp:/nowhere"}}, "not at hand (/nowhere: no such"),
        ({"fingerprint": "0123456789abcdef"}, "not 0123456789abcdef"),
        ({"options": {**OPTIONS, "users": 3}}, "is not the data of the run"),
        ({"options": {**OPTIONS, "users": 0}}, "not at hand (users is 0"),
        ({"options": None, "source": "a notebook"}, "does not say how its data, a notebook, was"),
    ],
)
def test_without_the_data_history_metrics_are_null_and_named(record, call, tmp_path, changes, said):
    record(**changes)
    code, _, err = call("score")
    assert code == 0
    lines = [line for line in err.splitlines() if line.startswith("style is null in 1 run: ")]
    assert len(lines) == 1
    assert said in lines[0]
    (run,) = reread(tmp_path)
    for name in ("style", "history_copy", "reference_history_copy"):
        assert run.manifest.scores[name] == Means(None, None)
        assert said in run.manifest.scoring.missing[name]
    assert run.manifest.mean("rouge2") is not None


def test_data_that_moved_is_named(record, call, tmp_path):
    record(options={**OPTIONS, "data": "lamp:/nowhere"})
    code, _, err = call("score", "--data", "bundled", "--metric", "style")
    assert (code, "null" in err) == (0, False)
    (run,) = reread(tmp_path)
    assert run.manifest.mean("style") is not None
    assert set(run.scores[0]) == {"user", "query", *OLD, "style"}


def test_a_recorded_value_is_kept_where_it_cannot_be_computed(record, call, tmp_path, bundled_news):
    record(scoring=Scoring(histories=histories(bundled_news)), fingerprint="0123456789abcdef")
    (before,) = reread(tmp_path)
    code, _, err = call("score")
    assert (code, "style" in err) == (0, False)
    (after,) = reread(tmp_path)
    assert after.scores == before.scores
    assert after.manifest.mean("style") is not None


@pytest.fixture
def installed(monkeypatch):
    """A function that sets the versions of the scoring libraries."""

    def have(**found):
        def releases(packages):
            return {name: found.get(name.replace("-", "_"), "1") for name in packages}

        monkeypatch.setattr("lampbench.scoring.score.releases", releases)

    return have


def test_versions_are_those_by_which_each_column_came_about(record, call, tmp_path, installed):
    """Those of what made the answers, torch for one, never change."""
    installed(nltk="3.1", sacrebleu="2.5")
    record(scoring=Scoring(OLD), options={**OPTIONS, "data": "lamp:/nowhere"})
    call("score", "--metric", "bleu")
    call("score")  # every column of the catalog; none is left of those before
    (before,) = reread(tmp_path)
    described = before.manifest.scoring
    assert described.versions == {"nltk": "3.1", "sacrebleu": "2.5", "rouge-score": "1"}
    assert b"rescored" not in (before.path / "manifest.json").read_bytes()
    installed(nltk="3.2", sacrebleu="2.6")
    call("score", "--metric", "bleu")
    (after,) = reread(tmp_path)
    described = after.manifest.scoring
    assert after.manifest.versions == before.manifest.versions
    assert described.versions_of("bleu") == {"nltk": "3.2", "sacrebleu": "2.6", "rouge-score": "1"}
    assert described.versions_of("meteor") == before.manifest.scoring.versions
    _, out, _ = call("score", "--metric", "bleu")
    assert "up to date" in out
    call("score")
    (renewed,) = reread(tmp_path)
    described = renewed.manifest.scoring
    assert (described.versions["nltk"], described.rescored) == ("3.2", {})
    assert renewed.manifest.versions == before.manifest.versions


def test_other_values_than_recorded_are_told(record, call, tmp_path, monkeypatch):
    record()
    monkeypatch.setattr("lampbench.metrics.output.Words.score", lambda self, answer: 99)
    _, out, _ = call("score")
    (run,) = reread(tmp_path)
    count = len(run.scores)
    assert f"  words: {count} values differ from those recorded before" in out.splitlines()
    assert run.manifest.mean("words") == 99


def test_only_the_runs_asked_for(record, call, tmp_path):
    for key in ("aa1", "ab2"):
        record(key)
    call("score", "--run", "ab", "--metric", "rouge2")
    one, two = reread(tmp_path)
    assert ("rouge2" in one.scores[0], "rouge2" in two.scores[0]) == (False, True)
    assert "style" not in two.scores[0]


def test_altered_runs_are_named_and_left_alone(record, call, tmp_path):
    run = record()
    file = run.path / "predictions.json.gz"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    scores = (run.path / "scores.json.gz").read_bytes()
    code, out, err = call("score")
    assert (code, out) == (0, "")
    assert "predictions.json.gz was changed" in err
    assert (run.path / "scores.json.gz").read_bytes() == scores


def test_a_metric_of_ones_own(record, call, tmp_path):
    record()
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from lampbench.plugin import Metric, register_metric\n"
        "@register_metric('history_texts')\n"
        "class Mine(Metric):\n"
        "    title, high, reads_history = 'Texts', None, True\n"
        "    def score(self, answer):\n        return len(answer.history)\n"
    )
    code, _, _ = call("score", "--plugins", plugin, "--metric", "history_texts")
    assert code == 0
    (run,) = reread(tmp_path)
    assert run.scores[0]["history_texts"] > 0
    assert call("score")[0] == 0
    assert "history_texts" in reread(tmp_path)[0].scores[0], "columns of others stay"
    assert call("leaderboard")[0] == 0
    code, out, _ = call("list", "metrics", "--plugins", plugin)
    assert "history_texts" in out
    broken = tmp_path / "broken.py"
    broken.write_text(plugin.read_text().replace("len(answer.history)", "1 / 0"))
    code, _, err = call("score", "--plugins", broken, "--metric", "history_texts")
    assert code == 2
    assert "ZeroDivisionError" in err.splitlines()[-1]
    assert reread(tmp_path)[0].scores[0]["history_texts"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metric", "bluw"], "did you mean bleu?"),
        (["--metric", "judge"], "set LAMPBENCH_JUDGE_URL and LAMPBENCH_JUDGE_MODEL"),
        (["--run", "zz"], "no run has a key that begins with 'zz'"),
        (["--results", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_bad_input_is_one_line(record, call, arguments, said):
    record()
    code, _, err = call("score", *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert said in err


def test_scoring_needs_no_torch(record, tmp_path, root):
    record()
    code = (
        "import sys\nfrom lampbench.cli.main import main\n"
        "try:\n main(['score', '--results', sys.argv[1]])\n"
        "except SystemExit as left:\n assert not left.code\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "results")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert json.loads(next((tmp_path / "results").rglob("manifest.json")).read_text())["scoring"]
