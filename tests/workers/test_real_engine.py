"""One study as one process, as shards and with workers, on the real engine: the same record.

CoPe needs everything that shards share: the task's adapter, users' adapters, sampled and judged
negatives, preference training, contrastive answers. One process is killed in preference training.
Recorded answers and scores are compared by byte. Users' adapters agree but for rounding, which
depends on how many users train in one batch.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load_file

from lampbench.cli import worker_options
from lampbench.cli.main import main
from lampbench.core.dataset import User
from lampbench.data import DataOptions, load_dataset
from lampbench.data.write_dataset import write_dataset
from lampbench.execution.shard import Shard, shard_index
from lampbench.registry import Registry
from tests.shared import deadly_worker
from tests.workers.test_workers import needs_ray

USERS, RECORDS, QUERIES = 5, 4, 2
ROUNDING = 1e-3
"""Of a LoRA's numbers, the largest of which are 0.09; seen were 6e-5."""


def cut(user: User) -> User:
    return replace(user, history=user.history[-RECORDS:], queries=user.queries[:QUERIES])


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[str, ...]:
    """The command of a study on a few users of the bundled data, without its folders."""
    folder = tmp_path_factory.mktemp("data")
    whole = load_dataset(Registry([]).task("news_headline"), "bundled", DataOptions(users=USERS))
    test, train = map(cut, whole.test_users), map(cut, whole.train_users[: 2 * USERS])
    write_dataset(replace(whole, test_users=tuple(test), train_users=tuple(train)), folder)
    return (
        "run", "--method", "cope", "--task", "news_headline", "--data", f"lampbench:{folder}",
        "--model", "bundled-small", "--device", "cpu", "--dtype", "float32",
        "--set", "negatives.n=2",
    )  # fmt: skip


def require_same(ours: Path, theirs: Path) -> None:
    """The same recorded files, to the byte, and the same adapters, but for rounding."""
    recorded = files(theirs, "*.json.gz")
    assert recorded.keys() >= {"predictions.json.gz", "scores.json.gz"}
    assert files(ours, "*.json.gz") == recorded
    adapters = sorted(file.relative_to(theirs) for file in theirs.rglob("*.safetensors"))
    assert len(adapters) == 1 + 2 * USERS, "the task's, and each user's before and after DPO"
    assert sorted(file.relative_to(ours) for file in ours.rglob("*.safetensors")) == adapters
    for name in adapters:
        if "task_sft" in name.parts:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
        trained, expected = (load_file(folder / name) for folder in (ours, theirs))
        assert trained.keys() == expected.keys()
        for layer, matrix in expected.items():
            numpy.testing.assert_allclose(trained[layer], matrix, rtol=0, atol=ROUNDING)


def files(folder: Path, pattern: str) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.rglob(pattern)}


@pytest.fixture(scope="module")
def alone(study, tmp_path_factory) -> Path:
    """Where one process has made everything."""
    folder: Path = tmp_path_factory.mktemp("alone")
    assert run(*study, *places(folder)) == 0
    return folder


def places(folder: Path) -> tuple[str, ...]:
    return "--results", str(folder / "results"), "--cache-dir", str(folder / "cache")


@pytest.fixture
def deadly(monkeypatch, tmp_path, root, study):
    """Has workers of a shard with users killed once; a function that names that of several."""
    monkeypatch.setenv(deadly_worker.MARK, str(tmp_path / "died"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(worker_options, "_MODULE", "tests.shared.deadly_worker")
    users = load_dataset(Registry([]).task("news_headline"), study[6], DataOptions()).test_users

    def name(count: int) -> Shard:
        shard = Shard(shard_index(users[0].id, count), count)
        monkeypatch.setenv(deadly_worker.SHARD, str(shard))
        return shard

    return name


def test_four_shards_one_of_them_killed(study, alone, deadly, tmp_path):
    command = [*study, *places(tmp_path)]
    killed = deadly(4)
    others = [index for index in range(4) if index != killed.index]
    assert run(*command, "--shard", f"{others[0]}/4") == 0
    shard = [*command, "--shard", str(killed)]
    died = subprocess.run([sys.executable, "-m", "tests.shared.deadly_worker", *shard], check=False)
    assert died.returncode == -signal.SIGKILL and (tmp_path / "died").exists()
    assert run(*command, "--shard", f"{others[1]}/4") == 0
    assert run(*shard) == 0
    assert not list((tmp_path / "results").rglob("manifest.json"))
    assert run(*command, "--shard", f"{others[2]}/4") == 0
    require_same(tmp_path, alone)


def test_two_workers_one_of_them_killed(study, alone, deadly, tmp_path, capsys):
    killed = deadly(2)
    assert run(*study, *places(tmp_path), "--workers", "2") == 0
    told = f"the worker of shard {killed} was ended by SIGKILL; begun again (1 of 2)"
    assert told in capsys.readouterr().err
    require_same(tmp_path, alone)


@needs_ray
def test_ray_with_a_killed_worker(study, alone, deadly, tmp_path, capsys):
    killed = deadly(2)
    assert run(*study, *places(tmp_path), "--workers", "2", "--executor", "ray") == 0
    told = f"the worker of shard {killed} died; begun again (1 of 2)"
    assert told in capsys.readouterr().err
    require_same(tmp_path, alone)
