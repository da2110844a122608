"""Runs on disk: complete or not there, and never silently altered."""

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from lampbench.record.manifest import Manifest
from lampbench.record.paths import run_path
from lampbench.record.runs import load_runs, read_run
from lampbench.record.write import write_run
from lampbench.scoring import Means, PredictionRow, ScoreTable
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical
from tests.shared.recorded import manifest, record_rows

ROOT = Path(__file__).parents[2]

PREDICTIONS = [
    PredictionRow("../u", "1", "half \ud83d and line \u2028 end", "r"),
    PredictionRow("../u", "2", "", None),
]
SCORES = ScoreTable.from_rows(
    [
        {"user": "../u", "query": "1", "rouge1": 0.1 + 0.2, "reference_words": 1},
        {"user": "../u", "query": "2", "rouge1": None, "reference_words": None},
    ]
)


def write(root, **changes):
    return record_rows(root, PREDICTIONS, SCORES, model="org/Model", **changes)


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


def test_nothing_recorded_is_no_problem(tmp_path):
    assert load_runs(tmp_path / "absent") == ([], [])
    (tmp_path / "task" / "model").mkdir(parents=True)
    (tmp_path / ".git" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "README.md").write_text("notes")
    assert load_runs(tmp_path) == ([], [])


def test_a_recorded_run_is_replaced_only_on_demand(tmp_path):
    write(tmp_path)
    with pytest.raises(LampbenchError, match="recorded already"):
        write(tmp_path)
    run = write(tmp_path, created="later", replace=True)
    assert load_runs(tmp_path)[0][0].manifest.created == "later"
    assert [path.name for path in run.path.parent.iterdir()] == ["k1"]


def test_unequal_queries_are_refused(tmp_path):
    described = manifest(tmp_path, PREDICTIONS)
    with pytest.raises(ValueError, match="same queries"):
        write_run(tmp_path, described, PREDICTIONS, ScoreTable.from_rows(SCORES[::-1]))
    with pytest.raises(ValueError, match="same queries"):
        write_run(tmp_path, described, PREDICTIONS * 2, ScoreTable.from_rows([*SCORES] * 2))
    with pytest.raises(ValueError, match="seed must be an integer, it is text"):
        text: Any = "0"
        write_run(tmp_path, replace(described, seed=text), PREDICTIONS, SCORES)
    assert not list(tmp_path.rglob("manifest.json"))


def test_references_other_than_the_datasets_are_refused(tmp_path):
    described = manifest(tmp_path, PREDICTIONS)
    for wrong in (
        [replace(PREDICTIONS[0], reference="other"), PREDICTIONS[1]],
        [PREDICTIONS[0], replace(PREDICTIONS[1], reference="")],
        [PREDICTIONS[0], replace(PREDICTIONS[1], query="3")],
    ):
        rows = [{**score, "query": row.query} for row, score in zip(wrong, SCORES, strict=True)]
        with pytest.raises(ValueError, match=r"not in .*queries\.json\.gz, or has another"):
            write_run(tmp_path, described, wrong, ScoreTable.from_rows(rows))


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LampbenchError, match="the disk is full"):
        write(tmp_path)
    assert not [path for path in (tmp_path / "news_headline").rglob("*") if path.is_dir()][2:]
    assert load_runs(tmp_path) == ([], [])


def test_a_failed_replacement_restores_the_old_run(tmp_path, monkeypatch):
    old = write(tmp_path)
    rename = Path.rename

    def refuse(self, target):
        if self.name.startswith(".tmp-"):
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(LampbenchError, match="Permission denied"):
        write(tmp_path, created="later", replace=True)
    assert load_runs(tmp_path) == ([old], [])


KILL = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.shared.recorded import manifest
from tests.record.test_runs import PREDICTIONS, SCORES
from lampbench.record.write import write_run

root, step = Path(sys.argv[1]), int(sys.argv[2])
described = manifest(root, PREDICTIONS, model="org/Model")
done = 0
def at(function):
    def call(*arguments):
        global done
        done += 1
        if done == step:
            os._exit(9)
        return function(*arguments)
    return call
os.fsync, Path.rename = at(os.fsync), at(Path.rename)
write_run(root, described, PREDICTIONS, SCORES)
"""


@pytest.mark.parametrize("step", range(1, 7))
def test_a_killed_writer_leaves_no_run(tmp_path, step):
    command = [sys.executable, "-c", KILL, str(tmp_path), str(step), str(ROOT)]
    assert subprocess.run(command, cwd=ROOT).returncode == 9
    final = run_path(tmp_path, "news_headline", "org/Model", "base", "k1")
    runs, problems = load_runs(tmp_path)
    if step <= 5:  # three files, their folder, the renaming
        assert not final.exists()
        assert runs == []
        assert "half-written" in str(problems[0])
        assert str(tmp_path) in str(problems[0])
        run = write(tmp_path)
    else:  # only the parent folder was not yet flushed
        (run,) = runs
    assert load_runs(tmp_path) == ([run], [])
    assert [path.name for path in final.parent.iterdir()] == ["k1"]


def edit(file, old, new):
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new))


def repack(file, change):
    """Change a gzipped file's content."""
    file.write_bytes(gzip.compress(change(gzip.decompress(file.read_bytes()))))


def rewrite(change):
    """Change a manifest as a faulty program would: its own digest fits what it then says."""

    def damage(path):
        file = path / "manifest.json"
        content = json.loads(file.read_text())
        del content["sha256"]
        change(content)
        content["sha256"] = sha256(canonical(content).encode()).hexdigest()
        file.write_text(json.dumps(content))

    return damage


def shared(path, kind):
    (file,) = path.parents[2].glob(f"*.{kind}.json.gz")
    return file


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: repack(p / "predictions.json.gz", lambda t: t.replace(b"half", b"full")),
         "predictions.json.gz was changed"),
        (lambda p: repack(p / "scores.json.gz", lambda t: t.replace(b"0.3", b"0.9")),
         "scores.json.gz was changed"),
        (lambda p: (p / "scores.json.gz").unlink(), "scores.json.gz is missing"),
        (lambda p: (p / "manifest.json").unlink(), "half-written"),
        (lambda p: edit(p / "manifest.json", b'"format": 2', b'"format": 3'), "format 3"),
        (lambda p: edit(p / "manifest.json", b'"format": 2', b'"formal": 2'), "format null"),
        (lambda p: (p / "manifest.json").write_bytes(b"{"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"\xff"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"[" * 100_000), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"[]"), "not an object"),
        (lambda p: edit(p / "manifest.json", b'"seed": 0', b'"seed": NaN'), "NaN is not a finite"),
        (lambda p: edit(p / "manifest.json", b'"seed": 0', b'"seed": 1'), "manifest.json was"),
        (lambda p: edit(p / "manifest.json", b"0.3000", b"0.9000"), "manifest.json was changed"),
        (lambda p: edit(p / "manifest.json", b'"sha256": "', b'"sha257": "'), "was changed"),
        (rewrite(lambda m: m.update(seed="0")), "seed must be an integer, it is text"),
        (rewrite(lambda m: m.update(seed=True)), "seed must be an integer, it is true or false"),
        (rewrite(lambda m: m.pop("seed")), "seed is missing"),
        (rewrite(lambda m: m.update(seeds=1)), "seeds is no known field"),
        (rewrite(lambda m: m["dataset"].pop("synthetic")), "dataset.synthetic is missing"),
        (rewrite(lambda m: m.update(stages=[1])), "stages.0 must be an object"),
        (rewrite(lambda m: m.update(stages={})), "stages must be a list"),
        (rewrite(lambda m: m.update(failed_users=[])), "failed_users must be an object"),
        (rewrite(lambda m: m.update(failed_users={"u": 1})), "failed_users.u must be text"),
        (rewrite(lambda m: m["dataset"].update(test_users=None)), "dataset.test_users must be"),
        (rewrite(lambda m: m["files"].popitem()), "does not record the hashes"),
        (rewrite(lambda m: m["files"].update({"../x": "0"})), "does not record the hashes"),
        (rewrite(lambda m: m.update(method="b")), "belongs to"),
        (lambda p: p.rename(p.with_name("k2")), "belongs to news_headline/"),
        (lambda p: p.rename(p.parent.parent / "k1"), "belongs to news_headline/"),
    ],
)  # fmt: skip
def test_damaged_runs_are_named_and_left_out(tmp_path, damage, reason):
    sound = write(tmp_path, key="k0")
    path = write(tmp_path).path
    damage(path)
    runs, problems = load_runs(tmp_path)
    assert runs == [sound]
    (problem,) = problems
    assert reason in str(problem)
    assert "\n" not in str(problem)
    with pytest.raises(LampbenchError):
        read_run(problem.path)


@pytest.mark.parametrize("kind", ["queries", "histories"])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "cannot be read"),
        (lambda file: file.write_bytes(b"{}"), "cannot be read"),
        (lambda file: repack(file, lambda text: text.replace(b"user", b"User")), "was changed"),
    ],
)
def test_runs_whose_data_files_are_damaged_are_left_out_until_it_is_recorded_again(
    tmp_path, kind, damage, reason
):
    one, two = (
        write(tmp_path, history={"r": "past"}),
        write(tmp_path, key="k2", history={"r": "past"}),
    )
    damage(shared(one.path, kind))
    runs, problems = load_runs(tmp_path)
    assert runs == []
    assert [problem.path for problem in problems] == [one.path, two.path]
    assert all(f"{kind}.json.gz {reason}" in str(problem) for problem in problems)
    write(tmp_path, key="k2", history={"r": "past"}, replace=True)
    assert load_runs(tmp_path) == ([one, two], [])


def test_other_compression_of_the_same_data_is_no_damage(tmp_path):
    """Another machine's zlib may give other bytes."""
    run = write(tmp_path)
    repack(shared(run.path, "queries"), lambda text: text)
    assert load_runs(tmp_path) == ([run], [])
    assert run.predictions == PREDICTIONS


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


def test_equal_runs_are_equal_bytes(tmp_path):
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.json*")}
        for root in (tmp_path / "a", tmp_path / "b")
        if write(root)
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 5
    for path, data in files[0].items():
        if path.suffix == ".gz":  # no flags, no clock, no name, no system
            assert (data[3], data[4:8], data[9]) == (0, bytes(4), 255)


def test_a_manifest_with_a_number_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"x\.y must be a finite number"):
        write(tmp_path, overrides={"x.y": float("nan")})
    assert load_runs(tmp_path) == ([], [])


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    described = write(
        tmp_path, overrides={"a.b": ["q", "k"]}, versions={"torch": None}, prompt_head=[1, 2]
    ).manifest
    assert Manifest.from_json(described.to_json()) == described
    assert described.overrides == {"a.b": ("q", "k")}


def test_order_does_not_depend_on_the_file_system(tmp_path):
    for key in ("b", "a", "c"):
        write(tmp_path, key=key)
    assert [run.manifest.key for run in load_runs(tmp_path)[0]] == ["a", "b", "c"]
