"""A lock says for whom it waits, and outlives no process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from lampbench.util import lock
from lampbench.util.lock import hold

HOLDER = """
import sys, time
from pathlib import Path
from lampbench.util.lock import hold
with hold(Path(sys.argv[1]), "x", print):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "locks" / "one"


@pytest.fixture
def other(file, root):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, file], stdout=subprocess.PIPE, cwd=root, text=True
    )
    output = process.stdout
    assert output is not None and output.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    output.close()


def wait_until_said(file, monkeypatch, then):
    """Wait for the lock; `then` is done when the first message has come."""
    monkeypatch.setattr(lock, "_QUIET", 0.1)
    monkeypatch.setattr(lock, "_AGAIN", 0.1)
    said: list[str] = []

    def say(text: str) -> None:
        if not said:
            then()
        said.append(text)

    with hold(file, "adapters", say):
        pass
    return said[0]


def test_it_says_for_whom_and_goes_on_when_the_holder_dies(file, other, monkeypatch):
    said = wait_until_said(file, monkeypatch, other.kill)
    assert f"waiting for adapters: process {other.pid} on " in said and re.search(
        r"waited \d+\.\d s", said
    )
    assert "stopped" not in said


def test_a_stopped_holder_is_told_apart(file, other, monkeypatch):
    os.kill(other.pid, signal.SIGSTOP)
    os.waitpid(other.pid, os.WUNTRACED)
    said = wait_until_said(file, monkeypatch, other.kill)
    assert f"is stopped; resume it with `kill -CONT {other.pid}`" in said


def test_another_host_is_told_apart(file, other, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    said = wait_until_said(file, monkeypatch, other.kill)
    assert "another host" in said and str(file) in said


@pytest.mark.parametrize(
    "changed",
    [{"since": 1e300}, {"since": "nan"}, {"pid": "9" * 400}, {"pid": 10**30}, {"host": None}, 3],
    ids=str,
)
def test_a_damaged_note_of_the_holder_is_no_error(tmp_path, changed):
    """Found by the fuzzer."""
    sound = {"host": socket.gethostname(), "pid": os.getpid(), "since": 1.7e9}
    note = tmp_path / "one.holder"
    note.write_text(json.dumps(sound | changed if isinstance(changed, dict) else changed))
    assert "holds it" in lock.describe_holder(note.with_name("one"))


def test_a_free_lock_says_nothing_and_leaves_no_holder(file):
    said: list[str] = []
    with hold(file, "adapters", said.append):
        assert file.with_name("one.holder").is_file()
    assert said == [] and not file.with_name("one.holder").exists()
