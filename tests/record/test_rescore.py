"""`lampbench score`: recorded runs scored anew, safely."""

import json
import subprocess
import sys

import pytest

from lampbench.cli.main import main
from lampbench.data import DataOptions, load
from lampbench.record.runs import load_runs, write_run
from lampbench.registry import Registry
from lampbench.run.fill_manifest import describe_data
from lampbench.scoring import Scoring, histories, score_predictions

OLD = ("rouge1", "rougeL", "meteor", "words", "reference_words", "truncated", "repetition")
FURTHER = ("rouge2", "bleu", "length_ratio", "distinct1", "distinct2", "style", "history_copy")


@pytest.fixture(scope="module")
def dataset():
    return load(Registry().task("news_headline"), "bundled", DataOptions(users=2))


@pytest.fixture
def record(tmp_path, dataset):
    """A function that records a run as earlier versions did: without the later columns."""

    def make(key="k1", scoring=None, **changes):
        rows = [
            {
                "user": user.id, "query": query.id, "reference": query.reference,
                "prediction": f"{query.reference} again half \ud83d",
                "prompt_tokens": 7, "new_tokens": 5, "prompt_tokens_dropped": 0, "truncated": False,
            }
            for user in dataset.test_users for query in user.queries
        ]  # fmt: skip
        described = describe_data(dataset, Registry().task("news_headline"))
        data = {name: value for name, value in described.items() if name != "asked"}
        manifest = {
            "key": key, "method": "base", "task": "news_headline", "model": "bundled", "seed": 0,
            "preset": "small", "fidelity": "paper", "overrides": {}, "parts": {},
            "dataset": {**data, **changes}, "model_info": {},
            "created": "2026-01-01T00:00:00+00:00",
        }  # fmt: skip
        scores = score_predictions(rows, None, scoring or Scoring(OLD))
        return write_run(tmp_path / "results", manifest, rows, scores)

    return make


@pytest.fixture
def lampbench(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.err, captured.out

    return run


def reread(tmp_path):
    runs, problems = load_runs(tmp_path / "results")
    assert problems == []
    return runs


def test_an_old_run_gets_the_later_columns(record, lampbench, tmp_path, dataset):
    old = record()
    predictions = (old.path / "predictions.jsonl").read_bytes()
    before = old.scores
    code, err, out = lampbench("score")
    assert code == 0
    assert out.splitlines() == [f"{old.path.relative_to(tmp_path)}: scored"]
    (new,) = reread(tmp_path)
    assert (new.path / "predictions.jsonl").read_bytes() == predictions
    for was, now in zip(before, new.scores, strict=True):
        assert {name: now[name] for name in was} == was
    expected = score_predictions(new.predictions, None, Scoring(histories=histories(dataset)))
    assert new.scores == expected
    for name in FURTHER:
        assert new.manifest["scores"][name]["queries"] is not None
    assert new.manifest["created"] == old.manifest["created"]
    assert "smooth:exp" in new.manifest["scoring"]["signatures"]["bleu"]
    assert "style is null" not in err


def test_twice_is_once(record, lampbench, tmp_path):
    record()
    lampbench("score")
    before = {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.json*")}
    code, _, out = lampbench("score")
    assert (code, out.count("up to date")) == (0, 1)
    assert {file: file.read_bytes() for file in (tmp_path / "results").rglob("*.json*")} == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "lamp:/nowhere (user split: train, dev)"}, "not at hand (/nowhere: no such"),
        ({"fingerprint": "0123456789abcdef"}, "not 0123456789abcdef"),
        ({"test_users": 3}, "is not the data of the run"),
        ({"asked": {"data": "bundled", "users": 2, "nonsense": 1}}, "not at hand"),
    ],
)
def test_without_the_data_history_metrics_are_null_and_named(
    record, lampbench, tmp_path, changes, said
):
    record(**changes)
    code, err, _ = lampbench("score")
    assert code == 0
    lines = [line for line in err.splitlines() if line.startswith("style is null in 1 run: ")]
    assert len(lines) == 1
    assert said in lines[0]
    (run,) = reread(tmp_path)
    for name in ("style", "history_copy", "reference_history_copy"):
        assert run.manifest["scores"][name] == {"queries": None, "users": None}
        assert said in run.manifest["scoring"]["missing"][name]
    assert run.manifest["scores"]["rouge2"]["queries"] is not None


def test_data_that_moved_is_named(record, lampbench, tmp_path):
    record(source="lamp:/nowhere (user split: train, dev)")
    code, err, _ = lampbench("score", "--data", "bundled", "--metric", "style")
    assert (code, "null" in err) == (0, False)
    (run,) = reread(tmp_path)
    assert run.manifest["scores"]["style"]["queries"] is not None
    assert set(run.scores[0]) == {"user", "query", *OLD, "style"}


def test_a_recorded_value_is_kept_where_it_cannot_be_computed(record, lampbench, tmp_path, dataset):
    record(scoring=Scoring(histories=histories(dataset)), fingerprint="0123456789abcdef")
    (before,) = reread(tmp_path)
    code, err, _ = lampbench("score")
    assert (code, "style" in err) == (0, False)
    (after,) = reread(tmp_path)
    assert after.scores == before.scores
    assert after.manifest["scores"]["style"]["queries"] is not None


def test_other_values_than_recorded_are_told(record, lampbench, tmp_path, monkeypatch):
    record()
    monkeypatch.setattr("lampbench.metrics.output.Words.score", lambda self, answer: 99)
    _, _, out = lampbench("score")
    (run,) = reread(tmp_path)
    count = len(run.scores)
    assert f"  words: {count} values are not those recorded before" in out.splitlines()
    assert run.manifest["scores"]["words"]["queries"] == 99


def test_only_the_runs_asked_for(record, lampbench, tmp_path):
    for key in ("aa1", "ab2"):
        record(key)
    lampbench("score", "--run", "ab", "--metric", "rouge2")
    one, two = reread(tmp_path)
    assert ("rouge2" in one.scores[0], "rouge2" in two.scores[0]) == (False, True)
    assert "style" not in two.scores[0]


def test_altered_runs_are_named_and_left_alone(record, lampbench, tmp_path):
    run = record()
    file = run.path / "predictions.jsonl"
    file.write_bytes(file.read_bytes().replace(b"again", b"AGAIN"))
    scores = (run.path / "scores.jsonl").read_bytes()
    code, err, out = lampbench("score")
    assert (code, out) == (0, "")
    assert "predictions.jsonl was changed" in err
    assert (run.path / "scores.jsonl").read_bytes() == scores


def test_a_metric_of_ones_own(record, lampbench, tmp_path):
    record()
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from lampbench.plugin import Metric, register_metric\n"
        "@register_metric('history_texts')\n"
        "class Mine(Metric):\n"
        "    title, high, reads_history = 'Texts', None, True\n"
        "    def score(self, answer):\n        return len(answer.history)\n"
    )
    code, _, _ = lampbench("score", "--plugins", plugin, "--metric", "history_texts")
    assert code == 0
    (run,) = reread(tmp_path)
    assert run.scores[0]["history_texts"] > 0
    assert lampbench("score")[0] == 0
    assert "history_texts" in reread(tmp_path)[0].scores[0], "columns of others stay"
    assert lampbench("tables")[0] == 0
    code, _, out = lampbench("list", "metrics", "--plugins", plugin)
    assert "history_texts" in out
    broken = tmp_path / "broken.py"
    broken.write_text(plugin.read_text().replace("len(answer.history)", "1 / 0"))
    code, err, _ = lampbench("score", "--plugins", broken, "--metric", "history_texts")
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
def test_bad_input_is_one_line(record, lampbench, arguments, said):
    record()
    code, err, _ = lampbench("score", *arguments)
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
