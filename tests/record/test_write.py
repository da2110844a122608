"""Recording a run: complete or not there."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lampbench.record.paths import run_path
from lampbench.record.runs import load_runs
from lampbench.record.write import write_run
from lampbench.scoring import ScoreTable
from lampbench.util.errors import LampbenchError
from tests.record.written import PREDICTIONS, SCORES, write
from tests.shared.recorded import manifest

ROOT = Path(__file__).parents[2]


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
from tests.record.written import PREDICTIONS, SCORES
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
