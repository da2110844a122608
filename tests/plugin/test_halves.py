"""Cross-fitting: who trains on which half, and that nobody is judged by what it was trained on."""

from dataclasses import replace

import pytest

from lampbench.core.dataset import Dataset
from lampbench.execution.runner import execute
from lampbench.plugin.borrowing import with_shuffled_history
from lampbench.plugin.halves import halves, other_half
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import person

METHOD, CONTROL = "oppu_dpo_held_out", "oppu_halves"


@pytest.fixture
def people() -> Dataset:
    train = tuple(person(f"other{i}", records=1) for i in range(3))
    test = tuple(person(f"u{i}", records=4 + i) for i in range(3))
    return Dataset("news_headline", "a test", train, test)


def run(plan):
    return execute(plan, "x", plan.folder.parents[3])


def targets(job):
    return {getattr(one, "chosen", None) or one.response for one in job.data}


def test_every_record_is_in_one_half(people):
    for user in people.test_users:
        one, two = halves(user)
        assert sorted([*one.history, *two.history], key=lambda r: r.id) == list(user.history)
        assert abs(len(one.history) - len(two.history)) <= 1
        assert (other_half(people, 0, one), other_half(people, 0, two)) == (two, one)
        assert {one.id, two.id} == {user.id} and one.queries == user.queries


def test_one_record_cannot_be_halved(planner, people):
    one, *others = people.test_users
    short = replace(one, history=one.history[:1])
    data = replace(people, test_users=(*others, short))
    for method in (METHOD, CONTROL):
        with pytest.raises(LampbenchError, match=f"user u0 .* 1 past record and {method} needs 2"):
            planner(method, data=data)


@pytest.mark.parametrize(
    ("most", "remedy"),
    [(None, "by --min-history 2"), (1, "keep more by --max-history 2"), (2, "by --min-history 2")],
)
def test_the_remedy_for_one_record_is_the_option_that_helps(planner, people, most, remedy):
    """Users are chosen by their whole histories: no --min-history brings back what is cut."""
    users = tuple(replace(one, history=one.history[:1]) for one in people.test_users)
    data = replace(people, test_users=users, asked={"max_history": most})
    with pytest.raises(LampbenchError, match=f"{remedy}$"):
        planner(METHOD, data=data)


def test_dpo_continues_a_lora_that_has_not_seen_its_records(planner, engine, people):
    run(planner(METHOD, data=people))
    trained = [job for job in engine.trained if job.frozen]
    by_output = {job.output.parent.name: job for job in trained}
    preference = [job for job in trained if job.dpo]
    assert len(preference) == 2 * len(people.test_users)
    for job in preference:
        before = by_output[job.start.parent.name]
        (user,) = [one for one in people.test_users if one.id == job.id]
        assert before.id == job.id and before.dpo is None
        assert targets(before).isdisjoint(targets(job))
        assert targets(before) | targets(job) == {record.target for record in user.history}
        assert job.dpo.reference == job.frozen == before.frozen


def test_a_negative_is_judged_by_the_lora_that_dpo_continues(planner, engine, people):
    run(planner(METHOD, data=people))
    starts = {
        (job.id, example.prompt.text): job.start.parent.name
        for job in engine.trained
        if job.dpo
        for example in job.data
    }
    judged = [one for one in engine.scored if len(one.weights) == 2]
    assert judged
    for request in judged:
        judge = request.weights[-1].parent.name
        owner = next(one.id for one in people.test_users if f"of {one.id}" in request.prompt.text)
        assert starts[owner, request.prompt.text] == judge


def test_the_mean_of_both_halves_answers(planner, engine, people):
    for method in (METHOD, CONTROL):
        engine.combined.clear()
        run(planner(method, data=people))
        assert len(engine.combined) == len(people.test_users)
        for job in engine.combined:
            assert [factor for _, factor in job.terms] == [0.5, 0.5]
            assert len({path for path, _ in job.terms}) == 2


def test_the_control_trains_nothing_that_the_method_has_not_trained(planner, engine, people):
    run(planner(METHOD, data=people))
    trained = len(engine.trained)
    run(planner(CONTROL, data=people))
    assert len(engine.trained) == trained


SHUFFLED = """
from lampbench.plugin import *
from lampbench.plugin import Method

tam = TaskSFT()
oppu = UserSFT(start=tam)
held_out = HeldOutDPO(
    start=oppu,
    negatives=LowestReward(Samples(sampled_from=tam), judged_by=OtherHalf(oppu)),
    continued=OtherHalf(oppu),
)


@register_method("on_dealt")
class OnDealt(Method):
    \"""Held-out DPO on dealt histories.\"""

    title = "dealt"
    min_history = 2
    adaptation = OnShuffledHistories(MeanOfHalves(held_out))


@register_method("on_whole")
class OnWhole(Method):
    \"""Held-out DPO without halves.\"""

    title = "whole"
    adaptation = held_out
"""


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "shuffled.py"
    file.write_text(SHUFFLED)
    return file


def test_a_dealt_history_is_halved_too(planner, engine, people, plugin):
    run(planner("on_dealt", data=people, plugins=[plugin]))
    by_output = {job.output.parent.name: job for job in engine.trained if job.frozen}
    preference = [job for job in engine.trained if job.dpo]
    assert len(preference) == 2 * len(people.test_users)
    for job in preference:
        before = by_output[job.start.parent.name]
        (user,) = [one for one in people.test_users if one.id == job.id]
        dealt = with_shuffled_history(people, 0, user)
        assert targets(before).isdisjoint(targets(job))
        assert targets(before) | targets(job) == {record.target for record in dealt.history}


def test_a_whole_history_has_no_other_half(planner, people, plugin):
    with pytest.raises(LampbenchError, match="HeldOutDPO and OtherHalf need one half") as error:
        planner("on_whole", data=people, plugins=[plugin])
    assert "\n" not in str(error.value)
