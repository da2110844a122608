"""A run in shards: the same bytes as in one process, whichever process ends last."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset
from lampbench.execution.run_shard import execute_shard
from lampbench.execution.runner import execute
from lampbench.execution.shard import Shard, parse_shard
from lampbench.execution.shard_answers import SHARD_ANSWERS
from lampbench.record.recorded_run import read_run
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import Killed, person

PEOPLE = tuple(person(f"user{i}", records=2 + i % 2) for i in range(9))
DATA = Dataset("news_headline", "a test", PEOPLE[7:], PEOPLE[:7])


@pytest.fixture
def plan(planner, tmp_path):
    """A new plan over one cache, as another process would make it."""

    def make(method="cope", cache="cache", **options):
        return planner(method, data=DATA, cache=cache, **options)

    return make


def recorded(folder):
    return {
        name: (folder / name).read_bytes() for name in ("predictions.json.gz", "scores.json.gz")
    }


def alone(plan, tmp_path, method="cope"):
    """The files of the run in one process, in folders of its own."""
    folder = execute(plan(method, cache="alone"), "test", tmp_path / "results")
    found = recorded(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return found, manifest


@pytest.mark.parametrize(
    "method", ["base", "cope", "oppu_pag", "oppu_swapped", "oppu_mean", "oppu_shuffled"]
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_shards_in_any_order_record_the_bytes_of_one_process(plan, tmp_path, engine, method, order):
    expected, manifest = alone(plan, tmp_path, method)
    engine.trained.clear()
    for number, index in enumerate(order):
        folder = execute_shard(plan(method), Shard(index, 3), "test", tmp_path / "results")
        assert (folder is not None) == (number == 2)
    assert recorded(folder) == expected
    assert folder is not None
    run = read_run(folder)
    for ours, theirs in zip(run.manifest.stages, manifest["stages"], strict=True):
        assert [ours.stage, ours.key, ours.units] == [theirs[k] for k in ("stage", "key", "units")]
        assert ours.trained_tokens == theirs["trained_tokens"]
        assert ours.prompt_tokens == theirs["prompt_tokens"]
    jobs = Counter(job.output.parent.name for job in engine.trained)
    assert max(jobs.values(), default=1) == 1, "nothing is trained twice"
    assert not list((tmp_path / "cache" / SHARD_ANSWERS).iterdir())


def test_a_killed_shard_is_finished_by_the_same_command(plan, tmp_path, engine):
    expected, _ = alone(plan, tmp_path)
    work: Counter[str] = Counter()
    for budget in (3, 9, 20, None):
        engine.trained.clear()
        engine.budget = budget
        try:
            assert execute_shard(plan(), Shard(1, 2), "test", tmp_path / "results") is None
        except Killed:
            assert budget is not None
        work.update(job.output.parent.name for job in engine.trained)
    engine.budget = None
    folder = execute_shard(plan(), Shard(0, 2), "test", tmp_path / "results")
    assert recorded(folder) == expected
    assert max(work.values()) <= 2, "only what was under way when it was killed is begun again"


def test_a_run_without_shards_takes_what_shards_have_made(plan, tmp_path, engine):
    expected, _ = alone(plan, tmp_path)
    assert execute_shard(plan(), Shard(0, 2), "test", tmp_path / "results") is None
    users = {user.id for user in DATA.test_users if user.id in Shard(0, 2)}
    engine.trained.clear()
    folder = execute(plan(), "test", tmp_path / "results")
    assert recorded(folder) == expected
    assert users and not users & {job.id for job in engine.trained}


def test_a_poisoned_shard_leaves_the_others_alone(plan, tmp_path, engine):
    shards = [Shard(index, 2) for index in range(2)]
    bad = next(user.id for user in DATA.test_users if user.id in shards[0])
    engine.diverging = {bad}
    said = [execute_shard(plan("oppu"), one, "test", tmp_path / "results") for one in shards]
    assert said[1] is not None
    manifest = read_run(said[1]).manifest
    assert list(manifest.failed_users) == [bad]
    assert manifest.counts.users == len(DATA.test_users) - 1


def test_force_makes_the_answers_again(plan, tmp_path, engine):
    folder = None
    for index in range(2):
        folder = execute_shard(plan("base"), Shard(index, 2), "test", tmp_path / "results")
    engine.generated.clear()
    assert execute_shard(plan("base"), Shard(0, 2), "test", tmp_path / "results") == folder
    assert not engine.generated
    execute(plan("base"), "test", tmp_path / "results", force=True)
    assert engine.generated


@pytest.mark.parametrize("option", ["rewards", "private"])
def test_shards_of_other_options_are_not_mixed(plan, tmp_path, option, capsys):
    """Rewards, and the texts of a private run, would be those of some users only."""
    results = tmp_path / "results"
    first, second = Shard(0, 2), Shard(1, 2)
    assert execute_shard(plan("cad"), first, "test", results) is None
    assert execute_shard(plan("cad", **{option: True}), second, "test", results) is None
    assert "shard 0/2 was answered with another --rewards or --private" in capsys.readouterr().err
    folder = execute_shard(plan("cad", **{option: True}), first, "test", results)
    assert folder is not None
    rows = read_run(folder).predictions
    assert len({row.user for row in rows}) == len(DATA.test_users)
    if option == "rewards":
        assert all(row.rewards for row in rows)
    else:
        assert all(row.prediction is None for row in rows)
    assert not list((tmp_path / "cache" / SHARD_ANSWERS).iterdir())


@pytest.mark.parametrize("token_ids", [(), (1, 2)])
def test_only_empty_answers_lack_rewards(plan, tmp_path, engine, monkeypatch, token_ids):
    """A record that holds the rewards of some users only is not taken for one with rewards."""
    generate = engine.generate

    def without_some(requests):
        for request, answer in zip(reversed(requests), generate(requests), strict=True):
            bare = replace(answer, token_ids=token_ids, rewards=(), token_texts=())
            yield bare if "of user0" in request.prompt.text else answer

    monkeypatch.setattr(engine, "generate", without_some)
    folder = execute(plan("cad", rewards=True), "test", tmp_path / "results")
    assert any(row.rewards for row in read_run(folder).predictions)
    if token_ids:
        with pytest.raises(LampbenchError, match="recorded already, without rewards"):
            execute(plan("cad", rewards=True), "test", tmp_path / "results")
    else:
        assert execute(plan("cad", rewards=True), "test", tmp_path / "results") == folder


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "0/0", "a/b", "0/1000000"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(LampbenchError, match=r"write i/N with i from 0 to N - 1"):
        parse_shard(text)


def test_shards_divide_the_users():
    for count in (1, 2, 7):
        for user in DATA.test_users:
            assert sum(user.id in Shard(index, count) for index in range(count)) == 1
