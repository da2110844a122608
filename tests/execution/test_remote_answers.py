"""Answers of shards with a cache in a store: a machine keeps and uses no answers of its own."""

from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset
from lampbench.execution.cache import PARTIAL
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.remote_folder import LOCAL_FOLDER, cache_folder
from lampbench.execution.run_shard import answer_shard, execute_shard
from lampbench.execution.runner import execute, forget_answers, record_shards
from lampbench.execution.shard import Shard
from lampbench.execution.shard_answers import SHARD_ANSWERS
from lampbench.record.recorded_run import read_run
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import Killed, person

PEOPLE = tuple(person(f"user{i}", records=2) for i in range(9))
DATA = Dataset("news_headline", "a test", PEOPLE[7:], PEOPLE[:7])
SHARDS = Shard(0, 2), Shard(1, 2)
assert all(any(one.id in shard for one in DATA.test_users) for shard in SHARDS)


@pytest.fixture
def plan(planner, url, tmp_path, monkeypatch):
    """A new plan on a machine that shares the store, the results and nothing else."""

    def make(machine, **options):
        monkeypatch.setenv(LOCAL_FOLDER, str(tmp_path / machine))
        return planner("base", data=DATA, cache=cache_folder(url), **options)

    return make


@pytest.fixture
def say(engine, monkeypatch):
    """Makes the engine answer with a given text from now on."""
    generate = engine.generate

    def change(text):
        monkeypatch.setattr(
            engine,
            "generate",
            lambda requests: (replace(one, text=text) for one in generate(requests)),
        )

    return change


def texts(folder):
    return {row.prediction for row in read_run(folder).predictions}


def divided(plan, tmp_path):
    """Record a run in two shards, each on a machine of its own."""
    shards = zip("AB", SHARDS, strict=True)
    *_, folder = [
        execute_shard(plan(name), shard, "", tmp_path / "results") for name, shard in shards
    ]
    return folder


def test_new_answers_replace_those_that_another_machine_has_made(plan, say, tmp_path):
    say("old")
    assert texts(divided(plan, tmp_path)) == {"old"}
    say("new")
    forced = plan("A")  # a driver with workers on its machine
    forget_answers(forced)
    for shard in SHARDS:
        answer_shard(plan("A"), shard, again=True)
    assert record_shards(forced, "", tmp_path / "results", replace_run=True)
    assert texts(forced.folder) == {"new"}


def test_a_run_whose_record_was_deleted_is_answered_again(plan, say, tmp_path):
    say("old")
    folder = divided(plan, tmp_path)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    say("new")
    assert texts(divided(plan, tmp_path)) == {"new"}


def test_answers_that_a_forced_run_finds_on_another_machine_are_not_used(
    plan, say, engine, tmp_path
):
    say("old")
    folder = divided(plan, tmp_path)
    killed = plan("A")
    engine.budget = 1
    with pytest.raises(Killed):
        execute(killed, "", tmp_path / "results", force=True)
    engine.budget = None
    assert list((killed.executor.cache.root / PARTIAL / PREDICTIONS).glob("*/*"))
    say("new")
    driver = plan("B")  # with a worker on each machine
    forget_answers(driver)
    for name, shard in zip("AB", SHARDS, strict=True):
        answer_shard(plan(name), shard, again=True)
    assert record_shards(driver, "", tmp_path / "results", replace_run=True)
    assert texts(folder) == {"new"}


def test_no_text_of_a_private_run_stays_on_any_machine(plan, say, tmp_path):
    say("a secret")
    folder = divided(lambda name: plan(name, private=True), tmp_path)
    assert folder is not None
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert b"a secret" not in file.read_bytes(), file


def test_an_answered_shard_leaves_nothing_on_its_machine(plan, say, tmp_path):
    say("a secret")
    shard = plan("A", private=True)
    assert execute_shard(shard, SHARDS[0], "", tmp_path / "results") is None
    for file in shard.executor.cache.root.rglob("*"):
        assert not file.is_file() or b"a secret" not in file.read_bytes(), file


def test_damaged_answers_in_the_store_are_one_line_and_made_again(plan, say, tmp_path):
    say("text")
    first = plan("A")
    assert execute_shard(first, SHARDS[0], "", tmp_path / "results") is None
    remote = first.executor.cache.remote
    (key,) = remote.keys(SHARD_ANSWERS)
    for path in remote._files.ls(remote._place(SHARD_ANSWERS, key), detail=False):
        if not path.endswith("meta.json"):
            remote._files.pipe_file(path, b"other bytes")
    with pytest.raises(LampbenchError, match="no sound artifact; run the same command again"):
        execute_shard(plan("B"), SHARDS[1], "", tmp_path / "results")
    assert execute_shard(plan("A"), SHARDS[0], "", tmp_path / "results") is not None
