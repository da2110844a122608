"""Kills at some changes of the file system; all of them: `python -m tests.execution.kill_campaign`.

Each test is a process of its own, since it forks.
"""

import pytest

POINTS = {"run": 8, "run --force": 4, "score": 4, "import": 4, "forget": 4,
          "forget after a killed run": 6, "cache gc": 4}  # fmt: skip


@pytest.mark.parametrize("trial", POINTS)
def test_a_killed_command_is_finished_by_the_next(python, trial):
    code = (
        "import json, sys, tempfile\n"
        "from pathlib import Path\n"
        "from tests.execution.kill_campaign import TRIALS, attack\n"
        "with tempfile.TemporaryDirectory() as place:\n"
        f"    done = attack(TRIALS[{trial!r}], Path(place), {POINTS[trial]}, fake=True)\n"
        "print(json.dumps([done.changes, done.kills, done.findings]))\n"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "[]]" in done.stdout, done.stdout


def test_what_is_left_over_missing_or_changed_is_found(tmp_path):
    from tests.execution.kill_campaign import differences, left_in, traces

    folder = tmp_path / "results" / "task"
    folder.mkdir(parents=True)
    (folder / "a.json.gz").write_bytes(b"1")
    (folder / "b.json").write_text('{"user": "bob"}')
    wanted = left_in(tmp_path)
    assert differences(wanted, wanted) == []
    (folder / "a.json.gz").write_bytes(b"2")
    (folder / "b.json").rename(folder / ".b.json.0123abcd")
    assert differences(left_in(tmp_path), wanted) == [
        "results/task/b.json is missing",
        "results/task/.b.json.0123abcd is left over",
        "results/task/a.json.gz differs",
    ]
    (folder / "a.json.gz").unlink()
    assert traces(tmp_path, "bob") == ["results/task/.b.json.0123abcd holds user bob"]
    assert traces(tmp_path, "ann") == []
