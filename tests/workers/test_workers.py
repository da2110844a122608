"""Workers on this machine and on Ray: the bytes of one process, whatever happens to a worker."""

import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest

from lampbench.cli import worker_options
from lampbench.execution.shard_answers import complete_division, drop_answers
from tests.shared import fake_worker

RUN = ("run", "--method", "oppu", "--task", "news_headline", "--users", "8", "--device", "cpu")
RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not RAY, reason="ray is not installed: pip install 'lampbench[ray]'")


@pytest.fixture
def with_fate(call, on_fake_engine, monkeypatch, tmp_path):
    """Runs the command line with workers of the fake engine, to which something may happen."""
    monkeypatch.setattr(worker_options, "_MODULE", "tests.shared.fake_worker")
    monkeypatch.setenv(fake_worker.LOG, str(tmp_path / "trained"))

    def run(*arguments, fate=""):
        monkeypatch.setenv(fake_worker.FATE, fate)
        (tmp_path / "trained").write_text("")
        return call(*RUN, *arguments)

    return run


def answers(folder: Path):
    """The recorded answers and scores, to the byte."""
    found = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.json.gz")}
    assert found
    return found


@pytest.fixture
def expected(call, on_fake_engine, tmp_path):
    """What one process records."""
    assert call(*RUN, "--results", "alone", "--cache-dir", "cache-alone")[0] == 0
    return answers(tmp_path / "alone")


def trained(tmp_path):
    return Counter((tmp_path / "trained").read_text().splitlines())


def test_a_killed_worker_is_begun_again_and_nothing_differs(with_fate, expected, tmp_path):
    code, out, err = with_fate("--workers", "2", "--format", "json", fate="kill:1/2")
    assert code == 0, err
    assert answers(tmp_path / "results") == expected
    assert "the worker of shard 1/2 was ended by SIGKILL; begun again (1 of 2)" in err
    assert json.loads(out)["runs"][0]["users"] == 8
    assert err.count("oppu news_headline: task_sft: 1 adapter") == 1, "one display for all workers"
    assert max(trained(tmp_path).values()) == 1
    code, _, err = with_fate("--workers", "2")
    assert code == 0 and "already recorded" in err
    assert not trained(tmp_path), "no worker is started for a recorded run"
    assert with_fate("--workers", "2", "--force")[0] == 0
    assert answers(tmp_path / "results") == expected


@pytest.mark.parametrize(
    ("fate", "told"),
    [("full:0/2", "the disk is full|no space left"), ("poison:0/2", "record 3 has no text")],
)
def test_the_others_finish_where_one_shard_fails(with_fate, expected, tmp_path, fate, told):
    code, _, err = with_fate("--workers", "2", fate=fate)
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("error: shard 0/2: "), err
    assert any(one in last for one in told.split("|"))
    assert "0 of 1 runs are recorded" in last
    done = trained(tmp_path)
    code, _, err = with_fate("--workers", "2")
    assert code == 0, err
    assert answers(tmp_path / "results") == expected
    assert not done.keys() & trained(tmp_path).keys(), "what was finished is not made again"


def test_a_forced_run_with_a_failed_shard_is_left_to_the_workers(with_fate, expected, tmp_path):
    """The driver asks no model, also where an earlier record is there."""
    assert with_fate("--workers", "2")[0] == 0
    code, _, err = with_fate("--workers", "2", "--force", "--cache-dir", "new", fate="poison:0/2")
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("error: shard 0/2: ") and "0 of 1 runs" in last, err
    assert answers(tmp_path / "results") == expected, "the earlier record is kept"


def test_answers_that_another_driver_dropped_are_made_by_the_workers_again(
    with_fate, expected, tmp_path, monkeypatch, engine
):
    """Another driver recorded the run in another folder, before this one could."""
    asked = []

    def dropped_at_first(plan):
        asked.append(plan)
        if len(asked) == 1:
            drop_answers(plan)
        return complete_division(plan)

    monkeypatch.setattr("lampbench.execution.runner.complete_division", dropped_at_first)
    engine.generated.clear()
    code, _, err = with_fate("--workers", "2")
    assert code == 0, err
    assert len(asked) > 1 and not engine.generated, "this process asks no model"
    assert answers(tmp_path / "results") == expected
    assert max(trained(tmp_path).values()) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--workers", "2", "--shard", "0/2"), "--shard 0/2: is for one process of several"),
        (("--address", "auto"), "--address auto: is a Ray cluster's; add --executor ray"),
        (("--workers", "9000"), "--workers 9000: this process may use"),
    ],
)
def test_options_that_do_not_fit_are_one_line(with_fate, options, told):
    code, _, err = with_fate(*options)
    assert code == 2 and err.splitlines()[-1].startswith(f"error: {told}")


@pytest.mark.skipif(RAY, reason="ray is installed")
def test_ray_that_is_not_installed_is_one_line(with_fate):
    code, _, err = with_fate("--executor", "ray")
    last = err.splitlines()[-1]
    assert code == 2
    assert last == "error: --executor ray needs the package ray: pip install 'lampbench[ray]'"
