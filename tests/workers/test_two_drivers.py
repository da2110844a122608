"""Two drivers on one cache, both with workers: each artifact is made once, and both record."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.shared import fake_worker
from tests.workers.test_workers import RUN, answers, expected

__all__ = ["expected"]

WORKERS = 2
DRIVER = """
import sys

from lampbench.cli import worker_options
from lampbench.cli.main import main

worker_options._MODULE = "tests.shared.fake_worker"
main(sys.argv[1:])
"""


@pytest.fixture
def drive(root, tmp_path):
    """Runs drivers at once, each with workers; what each said. No worker trains until all others
    wait for what it trains, or for the worker of the same shard.
    """

    def run(*commands):
        (tmp_path / "trained").write_text("")
        environment = {
            **os.environ,
            "PYTHONPATH": str(root),
            "OMP_NUM_THREADS": "1",
            fake_worker.LOG: str(tmp_path / "trained"),
            fake_worker.WAITERS: str(len(commands) * WORKERS - 1),
        }
        started = [
            subprocess.Popen(
                [sys.executable, "-c", DRIVER, *RUN, "--workers", str(WORKERS), *command],
                cwd=tmp_path, env=environment, text=True, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for command in commands
        ]  # fmt: skip
        said = [process.communicate()[1] for process in started]
        assert [process.returncode for process in started] == [0] * len(commands), said
        return said

    return run


@pytest.mark.parametrize("results", [("results", "results"), ("one", "two")])
def test_two_drivers_on_one_cache_make_everything_once(drive, expected, tmp_path, results):
    said = drive(*(("--results", folder) for folder in results))
    assert all("waiting for " in one for one in said), said
    for folder in results:
        assert answers(tmp_path / folder) == expected
    trained = Counter((tmp_path / "trained").read_text().splitlines())
    assert len(trained) == 1 + 8 and max(trained.values()) == 1
