"""Replacing a recorded run: no kill loses it, no reader or other writer is disturbed."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lampbench.record.leftovers import REPLACED, TEMPORARY, leftovers
from lampbench.record.recorded_run import RunReplaced, read_run
from lampbench.record.run_lock import run_lock, run_lock_if_free
from lampbench.record.runs import load_runs
from lampbench.scoring import PredictionRow, ScoreTable
from lampbench.util.errors import LampbenchError
from tests.shared.recorded import record_rows

ROOT = Path(__file__).parents[2]
USERS = [f"u{number}" for number in range(3)]


def write(root, version, key="k1"):
    """A run whose answers and scores are all of one version."""
    rows = [PredictionRow(user, "1", f"answer {version}", f"ref of {user}") for user in USERS]
    scores = ScoreTable.from_rows(
        [{"user": user, "query": "1", "rouge1": version / 1000, "reference_words": 3}
         for user in USERS]
    )  # fmt: skip
    return record_rows(root, rows, scores, key=key, replace=True, created=str(version))


def version_of(run):
    """The version of a run, of which every part must be."""
    created = int(run.manifest.created)
    assert {row.prediction for row in run.predictions} == {f"answer {created}"}
    assert set(run.scores.columns["rouge1"]) == {created / 1000}
    return created


def python(code, *arguments, timeout=100):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""}, timeout=timeout,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


KILLS = """
import sys
from pathlib import Path
from lampbench.record.recorded_run import read_run
from lampbench.record.runs import load_runs
from tests.record.kills import at_every_change
from tests.record.test_replacement import version_of, write

root = Path(sys.argv[1])
write(root, 1)
seen = []

def look(step):
    (run,), problems = load_runs(root)
    assert problems == [], problems
    seen.append(version_of(run))
    assert read_run(run.path) == run
    write(root, 1)
    assert [path.name for path in run.path.parent.iterdir()] == ["k1"]

print(at_every_change(lambda: write(root, 2), look, 100))
assert seen == sorted(seen) and set(seen) == {1, 2}, seen
"""


def test_a_replacement_killed_at_any_change_leaves_the_old_run_or_the_new_one(tmp_path):
    done = python(KILLS, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 15


FIRST = """
import sys
from pathlib import Path
import shutil
from lampbench.record.runs import load_runs
from tests.record.kills import at_every_change
from tests.record.test_replacement import version_of, write

root = Path(sys.argv[1])

def look(step):
    runs, problems = load_runs(root)
    assert len(runs) + len(problems) <= 1
    assert all("half-written, its process was stopped" in str(one) for one in problems)
    again = write(root, 1)
    assert load_runs(root) == ([again], [])
    assert [path.name for path in again.path.parent.iterdir()] == ["k1"]
    shutil.rmtree(again.path)

print(at_every_change(lambda: write(root, 1), look, 100))
"""


def test_a_first_recording_killed_at_any_change_leaves_no_run_or_a_whole_one(tmp_path):
    done = python(FIRST, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 12


def test_a_reader_restores_what_a_killed_writer_put_aside(tmp_path):
    run = write(tmp_path, 1)
    run.path.rename(run.path.with_name(f"{REPLACED}k1-0123abcd"))
    assert read_run(run.path) == run
    run.path.rename(run.path.with_name(f"{REPLACED}k1-0123abcd"))
    assert load_runs(tmp_path) == ([run], [])
    assert leftovers(run.path, REPLACED) == []


def test_an_old_run_aside_does_not_come_back_once_the_new_one_is_deleted(tmp_path):
    old = write(tmp_path / "a", 1)
    old.path.rename(old.path.with_name(f"{REPLACED}k1-0123abcd"))
    new = write(tmp_path / "b", 2)
    new.path.rename(old.path)
    (run,), problems = load_runs(tmp_path / "a")
    assert (version_of(run), problems) == (2, [])
    assert leftovers(run.path, REPLACED) == []


def test_a_writer_at_work_is_no_problem_and_a_dead_ones_remains_are_named(tmp_path):
    run = write(tmp_path, 1)
    with run_lock_in_another_process(run.path.with_name("k9")):
        (run.path.with_name(f"{TEMPORARY}k9-0123abcd")).mkdir()
        assert load_runs(tmp_path) == ([run], [])
    (_, (problem,)) = load_runs(tmp_path)
    assert "half-written, its process was stopped; give the same command again" in str(problem)


class run_lock_in_another_process:
    def __init__(self, folder):
        code = (
            "import sys\nfrom pathlib import Path\n"
            "from lampbench.record.run_lock import run_lock\n"
            "with run_lock(Path(sys.argv[1])):\n print('held', flush=True)\n sys.stdin.read()\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self):
        output = self.process.stdout
        assert output is not None and output.readline() == "held\n"

    def __exit__(self, *_):
        self.process.communicate()


def test_a_writer_waits_and_says_for_whom(tmp_path):
    run = write(tmp_path, 1)
    said: list[str] = []
    other = run_lock_in_another_process(run.path)
    with other:
        with run_lock_if_free(run.path) as free:
            assert not free
        with pytest.raises(Waited), run_lock(run.path, stop_after(said)):
            raise AssertionError("two hold the lock")
    assert f"waiting for run k1 in {tmp_path}: process {other.process.pid} on" in said[0]
    with run_lock(run.path), run_lock(run.path), run_lock_if_free(run.path) as free:
        assert free  # a thread may take it again


class Waited(Exception):
    pass


def stop_after(said):
    def say(text):
        said.append(text)
        raise Waited

    return say


def test_what_was_recorded_again_is_told_apart_from_damage(tmp_path):
    run = write(tmp_path, 1)
    write(tmp_path, 2)
    for part in ("scores", "predictions"):
        with pytest.raises(RunReplaced, match="recorded again after it was read"):
            getattr(run, part)
    now = read_run(run.path)
    (now.path / "scores.json.gz").write_bytes(b"")
    with pytest.raises(
        LampbenchError, match=r"scores\.json\.gz was changed after the run"
    ) as found:
        now.scores  # noqa: B018
    assert not isinstance(found.value, RunReplaced)


RACE = """
import sys, time
from pathlib import Path
from lampbench.record.recorded_run import RunReplaced
from lampbench.record.runs import load_runs
from lampbench.util.errors import LampbenchError
from tests.record.test_replacement import version_of, write

root, role, until = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
done = 0
while not done or time.time() < until:
    if role < 3:
        write(root, 10 * done + role)
        done += 1
        continue
    runs, problems = load_runs(root)
    assert problems == [], problems
    assert len(runs) == 1, runs
    try:
        version_of(runs[0])
        done += 1
    except RunReplaced:
        pass
print(done)
"""


def test_writers_and_readers_at_once(tmp_path):
    write(tmp_path, 1)
    until = time.time() + 8
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    processes = [
        subprocess.Popen(
            [*command, str(role), str(until)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for role in range(6)
    ]  # fmt: skip
    ended = [process.communicate(timeout=100) for process in processes]
    for process, (_, err) in zip(processes, ended, strict=True):
        assert process.returncode == 0, err
    assert all(int(out) > 0 for out, _ in ended), ended
    ((run,), problems) = load_runs(tmp_path)
    assert problems == []
    version_of(run)
    assert [path.name for path in run.path.parent.iterdir()] == ["k1"]
