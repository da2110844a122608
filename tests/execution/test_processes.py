"""Two commands at once: one makes what both need, the other waits and says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import time
from pathlib import Path

from lampbench.cli.main import main
from lampbench.engine.pool import EnginePool
from lampbench.util.progress import Progress
from tests.shared.fake_runs import RecordingEngine

log, alone = Path(sys.argv[1]), sys.argv[2] == "1"
waiting = log.with_name("waiting")
say = Progress.say


def noted(self, text):
    if text.startswith("waiting for "):
        waiting.touch()
    say(self, text)


Progress.say = noted


class Slow(RecordingEngine):
    def train(self, jobs, on_step):
        with log.open("a") as lines:
            lines.writelines(f"{job.id} {job.output.parent.name}\\n" for job in jobs)
        began = time.monotonic()  # until the other process has said that it waits
        while not alone and not waiting.exists() and time.monotonic() < began + 60:
            time.sleep(0.1)
        yield from super().train(jobs, on_step)


EnginePool._load = lambda *_: Slow()
main(sys.argv[3:])
"""


@pytest.fixture
def at_once(root, tmp_path):
    """Runs commands in processes of their own, at once: what each said, and what was trained."""

    def run(*commands):
        script, log = tmp_path / "slow.py", tmp_path / "trained"
        script.write_text(SCRIPT)
        log.write_text("")
        (tmp_path / "waiting").unlink(missing_ok=True)
        started = [
            subprocess.Popen(
                [sys.executable, str(script), str(log), str(len(commands)), "run",
                 "--task", "news_headline", "--users", "2", *command],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for command in commands
        ]  # fmt: skip
        said = []
        for process in started:
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            said.append(err)
        return said, log.read_text().splitlines()

    return run


def answers(folder: Path) -> dict[Path, bytes]:
    """The recorded answers and scores, to the byte."""
    found = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.json.gz")}
    assert found
    return found


WAITING = re.compile(r"^waiting for (.+): process (\d+) on (\S+) holds it since ", re.MULTILINE)


def test_methods_that_share_an_adapter_train_it_once(at_once, tmp_path):
    shared = ("--cache-dir", "shared", "--results", "together")
    said, trained = at_once(("--method", "oppu", *shared), ("--method", "oppu_cd", *shared))
    assert len(trained) == len(set(trained)) == 1 + 2, "one adapter of the task, one of each user"
    waited = [WAITING.search(err) for err in said]
    assert any(found and "task_sft of news_headline" in found[1] for found in waited), said
    alone = ("--cache-dir", "alone", "--results", "apart")
    _, trained = at_once(("--method", "oppu", "--method", "oppu_cd", *alone))
    assert len(trained) == 3
    assert answers(tmp_path / "together") == answers(tmp_path / "apart")


def test_two_caches_over_one_folder_of_results_do_the_work_once(at_once, tmp_path):
    commands = [("--method", "tam", "--cache-dir", name) for name in ("one", "two")]
    said, trained = at_once(*commands)
    assert len(trained) == 1
    (waiting,) = [err for err in said if WAITING.search(err)]
    assert re.search(r"^waiting for run \w+ in .*results: process", waiting, re.MULTILINE)
    assert "already recorded" in waiting
    alone = ("--method", "tam", "--cache-dir", "three", "--results", "apart")
    at_once(alone)
    assert answers(tmp_path / "results") == answers(tmp_path / "apart")


def test_one_cache_under_two_folders_of_results_trains_once(at_once, tmp_path):
    said, trained = at_once(("--method", "tam", "--results", "a"),
                            ("--method", "tam", "--results", "b"))  # fmt: skip
    assert len(trained) == 1
    assert any("waiting for answers of tam news_headline" in err for err in said)
    assert answers(tmp_path / "a") == answers(tmp_path / "b")
