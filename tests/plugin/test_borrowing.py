"""Other users' weights and prompts: whose they are, what keys know of it, and what is forgotten."""

import itertools
from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset
from lampbench.engine.protocol import GateSpec, PiecesSpec
from lampbench.execution.forget_artifacts import forget_in_cache
from lampbench.execution.runner import execute
from lampbench.plugin.borrowing import another_user, with_shuffled_history
from lampbench.record.recorded_run import read_run
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import adapter_name, person

SWAPPED, MEAN, SHUFFLED, PROMPT = "oppu_swapped", "oppu_mean", "oppu_shuffled", "rag_swapped"


@pytest.fixture
def crowd() -> Dataset:
    train = tuple(person(f"other{i}", records=1) for i in range(3))
    return Dataset("news_headline", "a test", train, tuple(person(f"u{i}") for i in range(7)))


def run(plan):
    return read_run(execute(plan, "x", plan.folder.parents[3]))


def keys(plan, section):
    (stage,) = [one for one in plan.stages if one.name == section]
    return {owner.id: plan.executor.keys.of(stage.recipe, owner) for owner in stage.owners}


def test_the_cycle_is_a_derangement_that_does_not_depend_on_the_order(crowd):
    for seed in range(20):
        given = {user.id: another_user(crowd, seed, user).id for user in crowd.test_users}
        assert set(given) == set(given.values())
        assert all(one != other for one, other in given.items())
        for order in itertools.islice(itertools.permutations(crowd.test_users), 0, 5000, 997):
            turned = replace(crowd, test_users=order)
            again = {user.id: another_user(turned, seed, user).id for user in order}
            assert again == given
    orders = {
        tuple(another_user(crowd, seed, user).id for user in crowd.test_users) for seed in range(20)
    }
    assert len(orders) > 10, "the seed matters"
    training = {another_user(crowd, 0, user).id for user in crowd.train_users}
    assert training == {user.id for user in crowd.train_users}


def test_one_user_alone_has_no_other(crowd):
    alone = replace(crowd, test_users=crowd.test_users[:1])
    with pytest.raises(LampbenchError, match="user u0 of news_headline is the only one"):
        another_user(alone, 0, alone.test_users[0])


def test_shuffled_histories_are_all_records_dealt_out(crowd):
    def texts(users):
        return sorted(record.target for user in users for record in user.history)

    dealt = [with_shuffled_history(crowd, 0, user) for user in crowd.test_users]
    assert texts(dealt) == texts(crowd.test_users)
    for user, other in zip(crowd.test_users, dealt, strict=True):
        assert len(user.history) == len(other.history)
        assert user.queries == other.queries
    turned = replace(crowd, test_users=crowd.test_users[::-1])
    again = [with_shuffled_history(turned, 0, user) for user in crowd.test_users]
    assert again == dealt
    assert [with_shuffled_history(crowd, 1, user) for user in crowd.test_users] != dealt


def test_everybody_answers_with_somebody_elses_adapter(planner, engine, crowd):
    run(planner("oppu", data=crowd))
    trained, engine.generated = len(engine.trained), []
    plan = planner(SWAPPED, data=crowd)
    run(plan)
    assert len(engine.trained) == trained, "the adapters are OPPU's"
    assert keys(plan, "user_sft") == keys(planner("oppu", data=crowd), "user_sft")
    for request in engine.generated:
        user = next(one for one in crowd.test_users if request.id.startswith(one.id))
        other = another_user(crowd, 0, user)
        task, own = request.weights
        assert other.id in adapter_name(own) and user.id not in adapter_name(own)
        assert "news_headline" in adapter_name(task)
        assert user.id in request.prompt.text


def test_the_order_of_users_changes_no_key_and_no_answer(planner, crowd):
    turned = replace(crowd, test_users=crowd.test_users[::-1])
    for method in (SWAPPED, MEAN, SHUFFLED, PROMPT):
        one, two = (planner(method, data=data) for data in (crowd, turned))
        for stage in one.stages:
            assert keys(one, stage.name) == keys(two, stage.name)
        answers = [
            {row.query: row.prediction for row in run(plan).predictions} for plan in (one, two)
        ]
        assert answers[0] == answers[1]


def test_the_mean_weighs_every_user_alike(planner, engine, crowd):
    run(planner(MEAN, data=crowd))
    (job,) = engine.combined
    assert {factor for _, factor in job.terms} == {1 / 7}
    assert len({path for path, _ in job.terms}) == 7
    stacks = {request.weights for request in engine.generated}
    ((task, mean),) = stacks
    assert "sum" in adapter_name(mean) and "news_headline" in adapter_name(task)


def test_users_train_on_the_histories_dealt_to_them(planner, engine, crowd):
    run(planner(SHUFFLED, data=crowd))
    jobs = {job.id: job for job in engine.trained if job.frozen}
    for user in crowd.test_users:
        dealt = with_shuffled_history(crowd, 0, user)
        assert [one.response for one in jobs[user.id].data] == [r.target for r in dealt.history]
    own = planner("oppu", data=crowd)
    assert not set(keys(own, "user_sft").values()) & set(
        keys(planner(SHUFFLED, data=crowd), "user_sft").values()
    )


def test_a_prompt_of_another_user_quotes_that_user(planner, engine, crowd):
    recorded = run(planner(PROMPT, data=crowd))
    for request in engine.generated:
        user = next(one for one in crowd.test_users if request.id.startswith(one.id))
        other = another_user(crowd, 0, user)
        quoted = request.prompt.text.split("\n\n")[0]
        assert f"by {other.id}" in quoted and f"by {user.id}" not in quoted
    assert not any(row.quoted for row in recorded.predictions)


def test_an_adapter_is_assembled_from_the_pieces_of_sharers(planner, engine, crowd):
    settings = ("assembled.sharers=4", "assembled.k=2", "assembled.records=2")
    plan = planner("per_pcs", *settings, data=crowd)
    run(plan)
    context, part = plan.executor, plan.method.adaptation
    jobs = [job for job in engine.trained if isinstance(job.adapter, PiecesSpec)]
    assert {job.id for job in jobs} == {user.id for user in crowd.test_users}
    for job in jobs:
        user = next(one for one in crowd.test_users if one.id == job.id)
        sharers = part.lenders(crowd, 0, user)
        assert len({one.id for one in sharers} - {user.id}) == 4
        assert job.adapter.pieces == tuple(
            (context.weights(part.gates.lora, one)[-1], part.gates.own(context, one)[0])
            for one in sharers
        )
        assert [one.response for one in job.data] == [r.target for r in user.history[-2:]]
        assert (job.adapter.k, job.frozen) == (2, context.weights(part.gates.lora.start, user))
    for job in (job for job in engine.trained if isinstance(job.adapter, GateSpec)):
        user = next(one for one in crowd.test_users if one.id == job.id)
        assert job.frozen == context.weights(part.gates.lora, user)
        assert [one.response for one in job.data] == [r.target for r in user.history]
    for request in engine.generated:
        user = next(one for one in crowd.test_users if request.id.startswith(one.id))
        assert request.weights == part.weights(context, user)
        assert request.weights[-1] == context.adapter(part, user)
    own, other = crowd.test_users[0], part.lenders(crowd, 0, crowd.test_users[0])[1]
    unread = next(
        one for one in crowd.test_users if one not in part.lenders(crowd, 0, own) and one != own
    )
    before, after, without = (
        keys(planner("per_pcs", *settings, data=data), "assembled")
        for data in (crowd, edited(crowd, other), edited(crowd, unread))
    )
    assert before["u0"] != after["u0"]
    assert before["u0"] == without["u0"], "who lends nothing has no part in it"


CHILD = """
from lampbench.plugin import *
tam = TaskSFT()
oppu = UserSFT(start=tam)

@register_method("child")
class Child(Method):
    adaptation = UserDPO(start=oppu, negatives=LowestReward(
        Samples(sampled_from={sampled}), judged_by={judged}))
"""


@pytest.fixture
def child(planner, tmp_path):
    """A method with a per-user stage behind borrowed weights."""

    def plan(data, sampled="tam", judged="AnotherUsers(oppu)"):
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "child.py"
        file.parent.mkdir()
        file.write_text(CHILD.format(sampled=sampled, judged=judged))
        return planner("child", plugins=[file], data=data)

    return plan


def edited(data, user):
    changed = replace(user, history=(replace(user.history[0], target="new"), *user.history[1:]))
    users = [changed if one is user else one for one in data.test_users]
    return replace(data, test_users=tuple(users))


def test_the_key_knows_whose_data_went_in(child, planner, crowd):
    user = crowd.test_users[0]
    other = another_user(crowd, 0, user)
    third = next(one for one in crowd.test_users if one.id not in (user.id, other.id))
    before = keys(child(crowd), "lowest_reward")
    assert keys(child(edited(crowd, other)), "lowest_reward")[user.id] != before[user.id]
    assert keys(child(edited(crowd, third)), "lowest_reward")[user.id] == before[user.id]
    mean = keys(planner(MEAN, data=crowd), "mean_of_users")
    assert keys(planner(MEAN, data=edited(crowd, third)), "mean_of_users") != mean
    with_mean = keys(child(crowd, judged="MeanOfUsers(oppu)"), "lowest_reward")
    changed = keys(child(edited(crowd, third), judged="MeanOfUsers(oppu)"), "lowest_reward")
    assert with_mean[user.id] != changed[user.id]


def test_a_shuffled_and_an_own_adapter_may_stand_in_one_method(child, engine, crowd):
    run(child(crowd, judged="OnShuffledHistories(oppu)"))
    twice = [job for job in engine.trained if job.frozen and not job.dpo]
    assert len(twice) == 14
    assert len({job.output for job in twice}) == 14


def test_forgetting_a_user_removes_what_others_have_of_them(planner, child, crowd, tmp_path):
    run(child(crowd))
    run(planner(MEAN, data=crowd))
    run(planner(SHUFFLED, data=crowd))
    user = crowd.test_users[2]
    borrower = next(one for one in crowd.test_users if another_user(crowd, 0, one) is user)
    removed, _ = forget_in_cache(tmp_path / "cache", user.id)
    kinds = sorted(line.rpartition(": ")[2].split()[0] for line in removed)
    # own: user_sft, negatives, lowest_reward, user_dpo; of the borrower: lowest_reward, user_dpo
    # (which learned from it); the mean; all seven trained on dealt histories
    assert kinds.count("lowest_reward") == 2
    assert kinds.count("user_dpo") == 2
    assert kinds.count("mean_of_users") == 1
    assert kinds.count("user_sft") == 1 + 7
    left = planner("oppu", data=crowd)
    stage = next(one for one in left.stages if one.name == "user_sft")
    assert [one.id for one in stage.missing(left.executor)] == [user.id]
    assert borrower.id != user.id
