"""Runs to and from a dataset repository, through the hub's own client and a server like the hub."""

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lampbench.record.hub_repository import parse_repository
from lampbench.record.runs import load_runs
from lampbench.util.errors import LampbenchError
from tests.conftest import Python
from tests.shared.fake_hub import FakeHub, fake_hub
from tests.shared.recorded_fixtures import Recorder

OPTIONS: dict[str, Any] = {
    "data": "bundled", "users": None, "min_history": 1, "seed": 0, "split_by": None, "splits": [],
}  # fmt: skip
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with fake_hub() as served:
        yield served


@pytest.fixture
def lampbench(hub: FakeHub, python: Python, tmp_path: Path) -> Callable[..., Done]:
    """The command line, whose hub is the one of this test."""

    def run(*arguments: str, **environment: str) -> Done:
        environment = {**hub.environment(), "HF_HOME": str(tmp_path / "hf"), **environment}
        return python("-m", "lampbench", *arguments, cwd=tmp_path, **environment)

    return run


def snapshot(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes()
            for p in root.rglob("*") if p.is_file() and ".locks" not in p.parts}  # fmt: skip


def test_runs_come_back_byte_for_byte(
    hub: FakeHub, lampbench: Callable[..., Done], record: Recorder, tmp_path: Path
) -> None:
    for method in ("base", "rag"):
        record(method, dataset={"options": OPTIONS})
    done = lampbench("export", "base-0", "rag-0", "hub:group/runs")
    assert done.returncode == 0, done.stderr
    assert "/datasets/group/runs/commit/" in done.stdout
    assert hub.private["group/runs"] is True
    assert b"hub:group/runs" in hub.files["group/runs"]["README.md"]
    ours = snapshot(tmp_path / "results")
    assert {n: c for n, c in hub.files["group/runs"].items() if n != "README.md"} == ours

    done = lampbench("import", "runs", "hub:group/runs", "--own", "--results", "again")
    assert done.returncode == 0, done.stderr
    assert snapshot(tmp_path / "again") == ours
    done = lampbench("import", "runs", "hub:group/runs", "--own", "--results", "again")
    assert (done.returncode, done.stdout) == (0, "all of these runs are recorded already\n")


def test_runs_of_others_are_a_submission(
    hub: FakeHub, lampbench: Callable[..., Done], record: Recorder, tmp_path: Path
) -> None:
    record("base", dataset={"options": OPTIONS})
    assert lampbench("export", "base-0", "hub:group/runs").returncode == 0
    done = lampbench("import", "runs", "hub:group/runs@main", "--results", "board")
    assert done.returncode == 0, done.stderr
    (run,), problems = load_runs(tmp_path / "board")
    assert (run.submitter, problems) == ("group/runs", [])
    assert run.path.parts[-6] == "submissions"


def test_no_text_leaves_without_leave(
    hub: FakeHub, lampbench: Callable[..., Done], record: Recorder
) -> None:
    record("base")  # of data that was made in Python
    done = lampbench("export", "base-0", "hub:group/runs")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "may not be yours to publish" in done.stderr
    assert hub.requests == []
    assert lampbench("export", "base-0", "hub:group/runs", "--private").returncode == 0
    files = hub.files["group/runs"]
    text = b"".join(gzip.decompress(c) for n, c in files.items() if n.endswith(".gz"))
    assert b"w0 w1" not in text and b"prediction_sha256" in text
    (manifest,) = (json.loads(c) for n, c in files.items() if n.endswith("manifest.json"))
    assert manifest["private"] is True


def test_what_was_changed_on_the_hub_is_refused(
    hub: FakeHub, lampbench: Callable[..., Done], record: Recorder, tmp_path: Path
) -> None:
    record("base", dataset={"options": OPTIONS})
    assert lampbench("export", "base-0", "hub:group/runs").returncode == 0
    files = hub.files["group/runs"]
    name = next(name for name in files if name.endswith("scores.json.gz"))
    files[name] = gzip.compress(b'{"user":["a"],"query":["1"],"rouge1":[1.0]}')
    done = lampbench("import", "runs", "hub:group/runs", "--own", "--results", "again")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "was changed after the run" in done.stderr
    assert load_runs(tmp_path / "again") == ([], [])


@pytest.mark.parametrize(
    ("source", "environment", "said"),
    [
        ("hub:nobody/nothing", {}, "no such dataset repository"),
        ("hub:nothing", {}, "name it as hub:OWNER/NAME"),
        ("hub:a/b", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "cannot be reached"),
        ("hub:a/b", {"HF_HUB_OFFLINE": "1"}, "cannot be reached"),
        ("nowhere", {}, "no such folder"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    lampbench: Callable[..., Done], source: str, environment: dict[str, str], said: str
) -> None:
    done = lampbench("import", "runs", source, **environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr


def test_a_hub_that_refuses_is_one_line(
    hub: FakeHub, lampbench: Callable[..., Done], record: Recorder
) -> None:
    record("base", dataset={"options": OPTIONS})
    hub.refused.add("commit")
    done = lampbench("export", "base-0", "hub:group/runs")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "the hub refused" in done.stderr


def test_names_of_repositories() -> None:
    assert parse_repository("hub:a/b") == ("a/b", None)
    assert parse_repository("hub:a/b-c.d@v1/x") == ("a/b-c.d", "v1/x")
    for wrong in ("a/b", "hub:", "hub:a", "hub:a/b/c", "hub:a/b@", "hub:../b"):
        with pytest.raises(LampbenchError):
            parse_repository(wrong)
