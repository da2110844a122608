"""Runs that lampbench 0.1.0 recorded are read, compared, scored and written in today's format."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lampbench.record.manifest import FORMAT, MANIFEST, PREDICTIONS
from lampbench.record.recorded_run import Run, read_run
from lampbench.record.runs import load_runs
from tests.shared.recorded_fixtures import Call

RUN = "results/news_headline/bundled/cope/1c171340f2cc606f"
INPUTS = "results/news_headline/85b9882928f17ebf.inputs.jsonl"


@pytest.fixture
def old(tmp_path: Path, root: Path) -> Run:
    """A copy of the recorded run."""
    shutil.copytree(root / "tests/fixtures/format-1/results", tmp_path / "results")
    (run,), problems = load_runs(tmp_path / "results")
    assert problems == []
    assert json.loads((tmp_path / RUN / MANIFEST).read_text())["format"] == 1
    return run


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_everything_is_read_under_todays_names(old: Run, tmp_path: Path) -> None:
    lines = rows_of(tmp_path / RUN / "predictions.jsonl")
    rows = old.predictions
    assert [(r.user, r.query, r.prediction, r.reference) for r in rows] == [
        (one["user"], one["query"], one["prediction"], one["reference"]) for one in lines
    ]
    assert [row.truncated for row in rows] == [one["clipped"] for one in lines]
    assert [row.prompt_tokens_dropped for row in rows] == [one["prompt_cut"] for one in lines]
    scores = rows_of(tmp_path / RUN / "scores.jsonl")
    assert old.scores.columns["rougeL"] == tuple(one["rougeL"] for one in scores)
    assert old.scores.columns["truncated"] == tuple(one["clipped"] for one in scores)
    manifest = old.manifest
    assert manifest.hyperparameters["decoding.alpha"].value == 0.1
    assert manifest.method_parts["decoding"] == {
        "part": "contrastive", "against": {"part": "task_sft"},
    }  # fmt: skip
    assert manifest.dataset.options and manifest.dataset.options.data == "bundled"
    assert manifest.versions["lampbench"] == "0.1.0"
    first = rows[0]
    assert "text" in old.queries[first.user, first.query].fields
    assert list(old.histories) == list(dict.fromkeys(row.user for row in rows))


def test_pages_show_it(old: Run, call: Call, read: Callable[..., str]) -> None:
    assert "by lampbench 0.1.0, before 0.2.0 changed results" in read("excluded-runs")
    assert call("examples", "--run", old.manifest.key)[0] == 0
    code, out, _ = call("list", "runs", "--format", "json")
    assert code == 0 and json.loads(out)["left_out"] == []


def test_without_inputs_the_rest_is_read(old: Run, tmp_path: Path) -> None:
    (tmp_path / INPUTS).unlink()
    run = read_run(tmp_path / RUN)
    assert run.predictions == old.predictions
    assert {query.reference for query in run.queries.values()} == {
        row.reference for row in run.predictions
    }
    assert run.histories == {}


def test_scoring_it_again_writes_todays_format(old: Run, call: Call, tmp_path: Path) -> None:
    rows, columns = old.predictions, old.scores.columns
    code, out, err = call("score")
    assert code == 0 and "scored" in out, err
    run = read_run(tmp_path / RUN)
    assert json.loads((tmp_path / RUN / MANIFEST).read_text())["format"] == FORMAT
    assert sorted(path.name for path in (tmp_path / RUN).iterdir()) == [
        MANIFEST, PREDICTIONS, "scores.json.gz",
    ]  # fmt: skip
    assert run.predictions == rows
    assert run.manifest.dataset == old.manifest.dataset
    assert run.scores.columns["rougeL"] == pytest.approx(columns["rougeL"])


@pytest.mark.parametrize("option", ["--with-texts", "--private"])
def test_a_submission_of_it_has_todays_format(
    old: Run, call: Call, tmp_path: Path, option: str
) -> None:
    assert call("submit", old.path, "--name", "X", option, "--output", "sent")[0] == 0
    (run,), problems = load_runs(tmp_path / "sent")
    assert problems == [] and run.format_1 is None
    assert run.scores.columns == old.scores.columns
    assert run.manifest.private == (option == "--private")


def test_forgetting_a_user_leaves_nothing_in_the_old_files(
    old: Run, call: Call, tmp_path: Path
) -> None:
    user = old.predictions[0].user
    assert call("forget", user)[0] == 0
    (run,), _ = load_runs(tmp_path / "results")
    assert user not in run.scores.users and len(set(run.scores.users)) == 2
    assert user not in (tmp_path / INPUTS).read_text()


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("predictions.jsonl", lambda text: text + "\n", "was changed after the run"),
        ("scores.jsonl", lambda text: "", "was changed after the run"),
        (MANIFEST, lambda text: text.replace('"parts"', '"other"'), "other is no known field"),
        (MANIFEST, lambda text: text.replace('"alpha"', '"x"').replace("[", "{", 1), "not JSON"),
        ("../../../85b9882928f17ebf.inputs.jsonl", lambda text: "{}", "has no user"),
        ("../../../85b9882928f17ebf.inputs.jsonl", lambda text: "x", "line 1: not JSON"),
    ],
)
def test_damage_is_found(
    old: Run, tmp_path: Path, file: str, change: Callable[[str], str], said: str
) -> None:
    path = tmp_path / RUN / file
    path.write_text(change(path.read_text()))
    runs, (problem,) = load_runs(tmp_path / "results")
    assert runs == [] and said in str(problem)


def test_means_that_are_not_those_of_the_scores_are_found(old: Run, tmp_path: Path) -> None:
    path = tmp_path / RUN / MANIFEST
    content = json.loads(path.read_text())
    content["scores"]["rougeL"]["queries"] += 0.1
    path.write_text(json.dumps(content))
    (run,), _ = load_runs(tmp_path / "results")
    with pytest.raises(Exception, match="are not the means"):
        _ = run.scores
