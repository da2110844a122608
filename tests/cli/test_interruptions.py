"""Commands that a signal or --max-hours ends: the exit code, what is said, and that all resumes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lampbench.engine import pool
from lampbench.util import interrupt

RESUME = "Run the same command again to resume."
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
OPPU = ("--method", "oppu")


@pytest.fixture
def at_result(engine, monkeypatch):
    """Makes the engine act when it gives its n-th result."""

    def arrange(number, act):
        count = [0]
        spend = type(engine)._spend

        def counting(self):
            count[0] += 1
            if count[0] == number:
                act()
            spend(self)

        monkeypatch.setattr(type(engine), "_spend", counting)

    return arrange


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("moment", [1, 2, 3, 5])
def test_a_signal_ends_a_run_and_the_same_command_resumes(
    small_run, engine, at_result, recorded_files, number, code, moment
):
    assert small_run(*OPPU, "--results", "whole", "--cache-dir", "other")[0] == 0
    engine.trained.clear()
    at_result(moment, lambda: os.kill(os.getpid(), number))
    status, _, err = small_run(*OPPU)
    assert (status, err.splitlines()[-1]) == (code, f"Interrupted. {RESUME}")
    assert small_run(*OPPU)[0] == 0
    assert len(engine.trained) == 3, "what was trained before the signal is kept"
    assert recorded_files("results") == recorded_files("whole")


@pytest.fixture
def recorded_files(tmp_path):
    """The answers and scores under a folder, to the byte."""

    def read(folder):
        files = sorted((tmp_path / folder).rglob("*.gz"))
        assert files
        return {file.relative_to(tmp_path / folder): file.read_bytes() for file in files}

    return read


def test_other_commands_do_not_promise_to_resume(call, monkeypatch):
    monkeypatch.setattr(
        pool.EnginePool, "identity", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    code, _, err = call("diagnose", "--method", "oppu", "--task", "news_headline")
    assert (code, err) == (143, "Interrupted.\n")


@pytest.mark.parametrize(
    ("command", "more"),
    [("run", ()), ("sweep", ("--param", "decoding.repetition_penalty=1.0,1.1"))],
)
def test_a_run_ends_when_its_time_is_over(
    call, on_fake_engine, at_result, recorded_files, command, more
):
    asked = (command, *OPPU, "--task", "news_headline", "--users", "2", *more)
    assert call(*asked, "--results", "whole", "--cache-dir", "other")[0] == 0
    at_result(2, lambda: time.sleep(2))
    code, _, err = call(*asked, "--max-hours", "0.0001")
    assert code == interrupt.TIME_IS_OVER == 75
    assert err.splitlines()[-1] == f"The time of --max-hours is over. {RESUME}"
    code, _, err = call(*asked, "--max-hours", "1")
    assert code == 0, err
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert recorded_files("results") == recorded_files("whole")


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "inf", "1e9"])
def test_a_number_of_hours_that_makes_no_sense(small_run, hours):
    code, _, err = small_run(*OPPU, "--max-hours", hours)
    assert code == 2
    assert err.splitlines()[-1].startswith(
        f"error: --max-hours {float(hours)}: give a number above 0"
    )


@pytest.fixture
def command(root, tmp_path):
    """The console script as pip writes it."""
    script = tmp_path / "lampbench-script"
    script.write_text(
        "import sys\nfrom lampbench.__main__ import main\n"
        "if __name__ == '__main__':\n    sys.exit(main())\n"
    )
    return [sys.executable, str(script), "list", "methods"]


@pytest.mark.parametrize("milliseconds", [5, 20, 50, 100, 200])
def test_ctrl_c_at_the_start_prints_no_traceback_of_ours(command, root, milliseconds):
    """Before the first line of lampbench/__main__.py has run, Python may print one."""
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(root)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -signal.SIGINT, 1)
    ours = {Path(file).name for file in re.findall(r'File "([^"]*/lampbench/[^"]*)"', err)}
    assert ours <= {"__init__.py", "__main__.py"}, err
    if process.returncode == 130:
        assert err == "Interrupted.\n"
