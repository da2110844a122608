"""Pipes, devices, folders and links in the place of recorded files: named, never waited for."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from lampbench.util.terminal import LONGEST
from tests.shared.fake_runs import Killed

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")

RUN = ("run", "--method", "tam", "--task", "news_headline", "--users", "1")
SECONDS = 20
STRANGE = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}
RECORDED = {
    "manifest": "results/*/*/*/*/manifest.json",
    "predictions": "results/*/*/*/*/predictions.json.gz",
    "scores": "results/*/*/*/*/scores.json.gz",
    "queries": "results/*/*.queries.json.gz",
    "histories": "results/*/*.histories.json.gz",
}
READERS = [
    ("list", "runs"),
    ("leaderboard",),
    ("table", "main"),
    ("report",),
    ("score",),
    ("overview", "--task", "news_headline"),
    ("cache", "gc", "--older-than", "0", "--yes"),
    ("forget", "nobody"),
]


@pytest.fixture
def lampbench(call, on_fake_engine):
    """The command line, ended with an error where it waits for something that never comes."""

    def waiting(number, frame):
        raise AssertionError("the command waits")

    def run(*arguments):
        before = signal.signal(signal.SIGALRM, waiting)
        signal.alarm(SECONDS)
        try:
            code, out, err = call(*arguments)
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        assert "bug in lampbench" not in err and "the command waits" not in err, err
        assert all(len(line) <= LONGEST for line in err.splitlines())
        return code, out, err

    return run


def gone(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def strange(path, kind):
    gone(path)
    STRANGE[kind](path)


@pytest.fixture
def anew(lampbench, tmp_path):
    """A function that puts back what a run left in a folder of its own, made once."""
    assert lampbench(*RUN)[0] == 0
    whole = tmp_path / "whole"
    whole.mkdir()
    for name in ("results", ".lampbench"):
        shutil.copytree(tmp_path / name, whole / name)

    def restore():
        for name in ("results", ".lampbench"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(whole / name, tmp_path / name)

    return restore


@pytest.mark.parametrize("name", RECORDED)
def test_in_the_place_of_a_recorded_file(lampbench, anew, tmp_path, name):
    for kind in STRANGE:
        anew()
        (path,) = tmp_path.glob(RECORDED[name])
        strange(path, kind)
        for command in READERS if kind == "a pipe" else READERS[:1]:
            code, out, err = lampbench(*command)
            assert code in (0, 2), (command, err)
            assert path.name in err + out or code == 0, (command, err)
        code, _, err = lampbench(*RUN)
        assert path.name in err or name == "manifest", err
        code, _, err = lampbench(*RUN, "--force")
        if kind == "a folder" and name in ("queries", "histories"):
            assert code == 2 and f"{path.name}: cannot be written" in err
        else:
            assert code == 0
            assert "left out" not in lampbench("list", "runs")[2]


@pytest.mark.parametrize("name", ["meta.json", "adapter/adapter.json"])
def test_in_the_place_of_a_file_of_an_artifact(lampbench, anew, engine, tmp_path, name):
    for kind in STRANGE:
        anew()
        (path,) = tmp_path.glob(f".lampbench/cache/task_sft/*/{name}")
        strange(path, kind)
        code, out, _ = lampbench("cache", "verify")
        assert code == 1 and name in out
        assert lampbench("cache", "list")[0] == 0
        assert lampbench("forget", "nobody")[0] == 0
        engine.trained.clear()
        code, _, err = lampbench(*RUN, "--force")
        assert code == 0 and "damaged artifact" in err
        assert len(engine.trained) == 1


@pytest.mark.parametrize("name", ["journal.jsonl", "owner.json"])
def test_in_the_place_of_a_file_of_unfinished_work(lampbench, engine, tmp_path, name):
    for kind in STRANGE:
        engine.budget = 4
        with pytest.raises(Killed):
            lampbench(*RUN, "--force")
        engine.budget = None
        path = next(tmp_path.glob(f".lampbench/cache/partial/predictions/*/*/{name}"))
        strange(path, kind)
        code, out, _ = lampbench("cache", "verify")
        assert (code, name in out) == (1, True) or kind in ("a folder", "a link to nothing")
        assert lampbench(*RUN)[0] == 0
        assert lampbench("list", "runs")[0] == 0


def test_in_the_place_of_the_folder_of_locks(lampbench, anew, tmp_path):
    for kind in STRANGE:
        anew()
        strange(tmp_path / ".lampbench/cache/locks", kind)
        code, _, err = lampbench(*RUN, "--set", "task_sft.rank=2")
        assert code in (0, 2), err


def test_in_the_place_of_a_page(lampbench, anew, tmp_path):
    for kind in STRANGE:
        anew()
        gone(tmp_path / "leaderboard.md")
        assert lampbench("leaderboard")[0] == 0
        for page in (Path("leaderboard.md"), Path("results/tables/main.md")):
            strange(tmp_path / page, kind)
        assert lampbench("leaderboard", "--check")[0] in (1, 2)
        code, _, err = lampbench("leaderboard")
        assert code in (0, 2), err
