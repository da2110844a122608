"""How the command ends: versions, faults, Ctrl-C, a full disk and a closed pipe."""

import errno
import os
import platform
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from lampbench.registry import Registry
from lampbench.util.version import VERSION

FULL = Path("/dev/full")


def test_the_version_names_what_results_depend_on(call):
    torch = version("torch")
    said = f"lampbench {VERSION} (Python {platform.python_version()}, torch {torch})\n"
    assert call("--version") == (0, said, "")


def test_as_a_module(python):
    assert python("-m", "lampbench", "--version").stdout.startswith(f"lampbench {VERSION} ")
    done = python("-m", "lampbench", "nonsense")
    assert done.returncode == 2 and done.stderr.startswith("error: no command is called 'nonsense'")


@pytest.mark.parametrize(
    ("name", "near"), [("lis", "list"), ("leaderbord", "leaderboard"), ("tabel", "table")]
)
def test_an_unknown_command_is_answered_with_the_nearest(call, name, near):
    said = f"error: no command is called {name!r}: did you mean {near}?\n"
    assert call(name) == (2, "", said)


@pytest.fixture
def failing(monkeypatch, call):
    """`lampbench list methods`, which fails with a given exception."""

    def fail(error):
        def broken(*_):
            raise error

        monkeypatch.setattr(Registry, "rows", broken)
        return call("list", "methods")

    return fail


@pytest.fixture
def ours(monkeypatch):
    """The fault is lampbench's own: a file of the tests counts as a plugin otherwise."""
    monkeypatch.setattr("lampbench.cli.main._fault_of_plugin", lambda error: None)


def test_a_bug_is_one_line(failing, ours):
    said = (
        "bug in lampbench or a plugin: ZeroDivisionError: a fault of ours (LAMPBENCH_TRACEBACK=1 "
        "shows where; finished work is kept)\n"
    )
    assert failing(ZeroDivisionError("a fault\nof ours")) == (1, "", said)


def test_a_bug_with_its_traceback(failing, ours, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_TRACEBACK", "1")
    code, _, err = failing(ZeroDivisionError("ours"))
    assert code == 1 and err.startswith("Traceback") and "in broken" in err


def test_an_interruption_is_one_line(failing):
    code, out, err = failing(KeyboardInterrupt())
    assert (code, out, err.strip()) == (130, "", "Interrupted.")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file(failing, number):
    error = OSError(number, os.strerror(number), "results/x")
    said = "error: results/x: no space left; free some space and run the same command again\n"
    assert failing(error) == (2, "", said)


def test_a_forbidden_file_is_named(failing):
    error = OSError(errno.EACCES, "Permission denied", "results/x")
    said = "error: results/x: Permission denied; check its permissions\n"
    assert failing(error) == (2, "", said)


@pytest.mark.parametrize("number", [errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EIO])
def test_another_refusal_names_the_file_too(failing, number):
    code, out, err = failing(OSError(number, os.strerror(number), "a temporary", None, "results/x"))
    assert (code, out) == (2, "") and err.startswith(f"error: results/x: {os.strerror(number)}; ")


def test_a_refusal_that_names_no_file_is_a_bug(failing, ours):
    code, _, err = failing(OSError(errno.EINVAL, "Invalid argument"))
    assert code == 1 and err.startswith("bug in lampbench or a plugin: OSError: ")


@pytest.fixture
def start(root, tmp_path):
    """A function that starts the command line as a process of its own."""

    def run(*arguments, **streams):
        return subprocess.Popen(
            [sys.executable, "-m", "lampbench", *map(str, arguments)], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root)}, text=True,
            **{"stderr": subprocess.PIPE, **streams},
        )  # fmt: skip

    return run


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [["list", "models"], ["list", "methods", "--format", "json"]])
def test_output_to_a_full_disk(start, arguments):
    with FULL.open("w") as stdout, start(*arguments, stdout=stdout) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "error: no space left; free some space and run the same command again\n"


def test_a_closed_pipe_is_silent(start):
    """As in `lampbench list runs | head -1`, where the reader may leave first."""
    read, write = os.pipe()
    os.close(read)
    with start("list", "models", stdout=write) as process:
        os.close(write)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, "")


@pytest.fixture
def hostile(tmp_path):
    """A folder of results whose only run is half-written and has a name that a terminal obeys."""
    (tmp_path / "results/task/model/method/\x1b]0;x\x07").mkdir(parents=True)


def test_a_pipe_is_sent_no_control_characters_of_others_either(call, hostile):
    code, out, err = call("list", "runs")
    assert (code, out) == (0, "")
    assert err.startswith("results/task/model/method/\\u001b]0;x\\u0007: left out")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="the system has no pseudo-terminals")
def test_a_terminal_is_sent_no_control_characters_of_others(start, hostile):
    ours, theirs = os.openpty()
    with start("list", "runs", stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        process.wait(timeout=60)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert process.returncode == 0
    assert shown.startswith("results/task/model/method/\\u001b]0;x\\u0007: left out")
    assert shown.replace("\r\n", "").isprintable()


def test_ctrl_c_leaves_no_traceback(start, tmp_path):
    plugin = tmp_path / "slow.py"
    plugin.write_text(
        "import pathlib, time\n"
        "from lampbench.plugin import Method, register_method\n"
        "pathlib.Path('started').touch()\n"
        "time.sleep(60)\n"
        '@register_method("slow")\nclass Slow(Method): pass\n'
    )
    with start("list", "methods", "--plugins", plugin, stdout=subprocess.PIPE) as process:
        for _ in range(600):
            if (tmp_path / "started").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err == "Interrupted.\n"
