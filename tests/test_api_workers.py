"""Python's `workers`, `executor` and `shard`: as the options of the command line."""

import os
import re
from pathlib import Path
from typing import Any

import numpy
import pytest

import lampbench
from lampbench.api import worker_call
from lampbench.plugin import Method
from lampbench.util.errors import LampbenchError
from tests.shared import fake_worker
from tests.workers.test_workers import needs_ray

STUDY = ("oppu", "news_headline")


@pytest.fixture
def with_workers(on_fake_engine, monkeypatch, tmp_path):
    """Workers of the fake engine, to which something may happen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker_call, "_WORKER", "tests.shared.fake_api_worker")
    monkeypatch.setenv(fake_worker.LOG, str(tmp_path / "trained"))
    monkeypatch.setenv(fake_worker.FATE, "")
    (tmp_path / "trained").write_text("")


def answers(folder: str) -> dict[Path, bytes]:
    """The recorded answers and scores, to the byte."""
    found = Path(folder).rglob("*.json.gz")
    return {file.relative_to(folder): file.read_bytes() for file in found}


def alone(function, *study, **settings):
    """What one process records."""
    function(*study, **settings, results="alone", cache_dir="cache-alone")
    return answers("alone")


def test_workers_record_the_bytes_of_one_process(with_workers, monkeypatch, capsys):
    settings: Any = {"users": numpy.int64(8), "device": "cpu", "cache_dir": Path("cache")}
    monkeypatch.setenv(fake_worker.FATE, "kill:1/2")
    run = lampbench.run(*STUDY, workers=2, **settings)
    assert "the worker of shard 1/2 was ended by SIGKILL; begun again" in capsys.readouterr().err
    assert run.manifest.counts.users == 8
    assert answers("results") == alone(lampbench.run, *STUDY, users=8)
    before = Path("trained").read_text()
    assert lampbench.run(*STUDY, workers=2, **settings).path == run.path
    lampbench.run(*STUDY, workers=2, force=True, **settings)
    assert Path("trained").read_text() == before, "adapters are kept"
    assert answers("results") == answers("alone")


def test_a_sweep_with_workers_has_the_bytes_of_one_process(with_workers):
    study: Any = ("oppu_cd", "news_headline", {"decoding.alpha": [0.0, 0.2]})
    read_once: Any = (iter(study[:1]), iter(study[1:2]), {"decoding.alpha": iter([0.0, 0.2])})
    found = lampbench.sweep(*read_once, workers=2, users=4, device="cpu")
    assert [run.manifest.hyperparameters["decoding.alpha"].value for run in found] == [0.0, 0.2]
    assert answers("results") == alone(lampbench.sweep, *study, users=4)


def test_a_worker_that_fails_is_one_line_and_the_same_call_resumes(with_workers, monkeypatch):
    monkeypatch.setenv(fake_worker.FATE, "poison:0/2")
    told = r"^shard 0/2: user x: record 3 has no text; add it; 0 of 1 runs are recorded"
    with pytest.raises(LampbenchError, match=told):
        lampbench.run(*STUDY, users=8, device="cpu", workers=2)
    monkeypatch.setenv(fake_worker.FATE, "full:1/2")
    with pytest.raises(LampbenchError, match=r"^shard 1/2: adapter\.safetensors: no space left; "):
        lampbench.run(*STUDY, users=8, device="cpu", workers=2, force=True, cache_dir="other")
    monkeypatch.setenv(fake_worker.FATE, "")
    lampbench.run(*STUDY, users=8, device="cpu", workers=2)
    assert answers("results") == alone(lampbench.run, *STUDY, users=8)


def test_the_last_of_several_shards_returns_the_runs(with_workers):
    found = [lampbench.run_all(*STUDY, users=8, shard=f"{index}/3") for index in (2, 0, 1)]
    assert [len(runs) for runs in found] == [0, 0, 1]
    assert answers("results") == alone(lampbench.run, *STUDY, users=8)


@needs_ray
def test_ray_records_the_bytes_of_one_process(with_workers, monkeypatch, root):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
    lampbench.run(*STUDY, users=8, device="cpu", workers=2, executor="ray")
    assert answers("results") == alone(lampbench.run, *STUDY, users=8)


class Unknown(Method):
    """A class of this process."""


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"workers": 0}, "workers=0: give a whole number from 1 to 10,000"),
        ({"workers": "2"}, "workers='2': give a whole number"),
        ({"executor": "slurm"}, "executor='slurm': give 'local' or 'ray'"),
        ({"address": "auto"}, "--address auto: is a Ray cluster's; add --executor ray"),
        ({"workers": 2, "shard": "0/2"}, "--shard 0/2: is for one process of several"),
        ({"address": "x" * 900}, f"--address {'x' * 37}...{'x' * 20}: is a Ray cluster's"),
        ({"address": 6379, "executor": "ray"}, "--address 6379: write HOST:PORT"),
        ({"shard": "2/2"}, "--shard 2/2: write i/N"),
        ({"shard": 3}, "--shard 3: write i/N"),
        ({"shard": "3" * 900, "workers": 2}, f"--shard {'3' * 37}...{'3' * 20}: write i/N"),
        ({"workers": 1, "results": "a\0b"}, "--results 'a\\x00b': has a NUL character"),
        ({"cache_dir": "a\0b"}, "--cache-dir 'a\\x00b': has a NUL character"),
        ({"workers": 1, "engine": Unknown}, "Unknown'>: workers are other processes, and find"),
    ],
)
def test_choices_that_do_not_fit_are_one_line(with_workers, choices, told):
    with pytest.raises(LampbenchError, match=re.escape(told)):
        lampbench.run_all("base", "news_headline", **{"users": 2, "device": "cpu", **choices})
    assert not Path("results").exists()


@pytest.mark.parametrize("number", [numpy.float32(1.5), numpy.bool_(True)])
def test_numbers_of_numpy_are_no_classes(with_workers, number):
    """Whether a hyper-parameter takes them is said as it is without workers."""
    no_workers: Any = {}
    one_worker: Any = {"workers": 1}
    for processes in (no_workers, one_worker):
        with pytest.raises(LampbenchError, match=r"^decoding\.alpha=.*: give a number"):
            lampbench.sweep("cope", "news_headline", {"decoding.alpha": [number]}, **processes)


def test_a_call_may_be_longer_than_the_arguments_of_a_process(with_workers):
    study: Any = {"users": 4, "device": "cpu", "assignments": ["decoding.max_new_tokens=9"] * 9000}
    lampbench.run(*STUDY, workers=1, **study)
    del study["device"]
    assert answers("results") == alone(lampbench.run, *STUDY, **study)


def test_workers_know_methods_by_name_only(with_workers):
    with pytest.raises(LampbenchError, match=r"Unknown'>: workers are other processes"):
        lampbench.run(Unknown, "news_headline", workers=2)


PAPER: Any = {"models": ["bundled"], "methods": ["base", "oppu"], "tasks": ["news_headline"],
              "data": "bundled", "users": 4}  # fmt: skip


def test_the_papers_experiments_with_workers_have_the_bytes_of_one_process(with_workers):
    found = lampbench.reproduce("main", **PAPER, run=True, workers=2, device="cpu")
    assert [plan.method.name for plan in found["main"]] == ["base", "oppu"]
    assert all(plan.done for plan in found["main"])
    lampbench.reproduce(
        ["main", "ablation"], **PAPER, run=True, results="alone", cache_dir="cache-alone"
    )
    kept = {name: data for name, data in answers("alone").items() if name in answers("results")}
    assert answers("results") == kept and len(kept) > 4
    (base, _) = lampbench.runs("results")
    assert base.manifest.command.startswith("lampbench.reproduce(['main'], ['base', 'oppu'], ")


def test_plans_of_the_paper_alone_need_no_workers():
    for given in ({"workers": 2}, {"executor": "ray"}, {"shard": "0/2"}):
        with pytest.raises(LampbenchError, match="add run=True"):
            lampbench.reproduce("main", **PAPER, **given)
