"""Scores of users' own words by stage: who is compared with whom, and in which direction."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from lampbench.engine.protocol import Completion, ScoreRequest, ScoreResult
from lampbench.execution.make_answers import build
from lampbench.report.statistics import Paired
from lampbench.study.chosen_tokens import Changes, Choosing
from lampbench.study.diagnose import Likelihood, diagnose_plan
from lampbench.util.errors import LampbenchError
from tests.shared.fake_runs import adapter_name


def stage_of(request):
    return request.weights[-1].parent.parent.name if request.weights else "model"


OWN = {"model": -4.0, "task_sft": -3.0, "user_sft": -2.0, "user_dpo": -2.5}
OTHER = {"model": -4.0, "task_sft": -3.0, "user_sft": -2.75, "user_dpo": -5.0}
"""Log-probability of each of two tokens, by stage, of the user's own words and of others."""


@pytest.fixture
def built(planner):
    """A plan whose artifacts are all there."""

    def plan(method):
        made = planner(method)
        for stage in made.stages:
            build(made, stage)
        return made

    return plan


@pytest.fixture
def scoring(engine, monkeypatch):
    def score(requests):
        for request in requests:
            own = request.response.startswith(("headline", "new headline"))
            value = (OWN if own else OTHER)[stage_of(request)]
            yield ScoreResult(request.id, (value, value))

    monkeypatch.setattr(engine, "score", score)


def gains(entries: Iterable[Likelihood | Choosing]) -> list[Paired]:
    """What each entry gains over the one before it; the first has none before it."""
    first, *later = [one.gain for one in entries]
    found = [gain for gain in later if gain is not None]
    assert first is None and len(found) == len(later)
    return found


def test_each_stage_is_compared_with_the_one_before(built, scoring):
    plan = built("cope")
    found = diagnose_plan(plan)
    assert [(one.stage, one.nats) for one in found.likelihoods] == [
        ("model", 4.0), ("task_sft", 3.0), ("user_sft", 2.0), ("user_dpo", 2.5)
    ]  # fmt: skip
    by_stage = gains(found.likelihoods)
    assert [gain.difference.mean for gain in by_stage] == [1.0, 1.0, -0.5]
    assert (by_stage[2].better, by_stage[2].worse) == (0, 3)


def own_adapters_by_name(requests):
    """Log-probabilities by whose adapter answers: -1 with one's own, -3 with another's, else -4."""
    for request in requests:
        names = [adapter_name(path) for path in request.weights]
        user = next(one for one in ("ann", "bob", "mallory") if one in request.prompt.text)
        personal = stage_of(request).startswith("user")
        value = -4.0 if not personal else -1.0 if user in names[-1] else -3.0
        yield ScoreResult(request.id, (value, value))


@pytest.fixture
def requests(engine, monkeypatch):
    """What is scored, by whose adapter answers."""
    found: list[ScoreRequest] = []

    def score(asked):
        found.extend(asked)
        return own_adapters_by_name(asked)

    monkeypatch.setattr(engine, "score", score)
    return found


def test_another_users_adapter_is_the_one_of_the_swapped_method(built, planner, requests):
    plan = built("cope")
    found = diagnose_plan(plan)
    assert [(one.stage, one.without, one.own, one.another) for one in found.swaps] == [
        ("user_sft", 4.0, 1.0, 3.0), ("user_dpo", 4.0, 1.0, 3.0)
    ]  # fmt: skip
    for swap in found.swaps:
        gain = swap.gain
        assert (gain.difference.mean, gain.better, gain.worse) == (2.0, 3, 0)
    swapped = planner("oppu_swapped").executor
    for user in swapped.dataset.test_users:
        texts = {query.fields["text"] for query in user.queries}
        about = [one for one in requests if any(text in one.prompt.text for text in texts)]
        assert swapped.own_weights(user) in {one.weights for one in about}


def test_every_reference_is_scored_once_under_the_same_weights(built, requests):
    diagnose_plan(built("oppu"))
    asked = [(one.prompt.text, one.response, one.weights) for one in requests]
    assert len(asked) == len(set(asked)) == 5 * len(["model", "TAM", "own", "another's"])


def test_a_swapped_method_shows_the_same_swap_as_its_adapters(built, requests):
    assert diagnose_plan(built("oppu_swapped")).swaps == diagnose_plan(built("oppu")).swaps


def test_without_adapters_of_users_or_with_one_user_there_is_no_swap(
    built, planner, dataset, scoring
):
    assert diagnose_plan(built("tam")).swaps == ()
    alone = planner("oppu", data=replace(dataset, test_users=dataset.test_users[:1]))
    for stage in alone.stages:
        build(alone, stage)
    assert diagnose_plan(alone).swaps == ()


def test_margins_are_summed_over_tokens_and_relative_to_the_base(built, scoring):
    plan = built("cope")
    rows = {(one.on.split(",")[0], one.stage): one for one in diagnose_plan(plan).preferences}
    assert rows.keys() == {(on, stage) for on in ("history", "test")
                           for stage in ("user_sft", "user_dpo")}  # fmt: skip
    assert rows["history", "user_sft"].margin == pytest.approx(2 * 0.75)
    assert rows["test", "user_dpo"].margin == pytest.approx(2 * 2.5)
    assert rows["history", "user_dpo"].right == 1.0
    assert rows["history", "user_dpo"].pairs == 3 + 2 + 2
    assert rows["test", "user_dpo"].pairs == 2 + 2 + 1


def test_a_reward_that_prefers_others_is_wrong(built, scoring, monkeypatch):
    monkeypatch.setitem(OTHER, "user_sft", -1.0)
    plan = built("cope")
    (row, *_) = diagnose_plan(plan).preferences
    assert (row.stage, row.right) == ("user_sft", 0.0) and row.margin < 0


CHOSEN = {"task_sft": (1, 9, 9, 9), "user_sft": (1, 2, 9, 8), "contrast": (7, 2, 3, 4)}
"""Tokens chosen along every reference, whose own are 1, 2, 3, 4."""


@pytest.fixture
def following(engine, scoring, monkeypatch):
    generate = engine.generate

    def forced(request):
        way = "contrast" if request.spec.contrast.alpha else stage_of(request)
        return Completion(request.id, 0, "", CHOSEN[way], 7, (), 0, True, teacher_ids=(1, 2, 3, 4))

    def answer(requests):
        if requests[0].teacher_text is None:
            yield from generate(requests)
        else:
            yield from map(forced, reversed(requests))

    monkeypatch.setattr(engine, "generate", answer)


def test_the_contrast_is_compared_with_each_model_alone(built, following):
    plan = built("oppu_cd")
    found = diagnose_plan(plan)
    assert [(one.by, one.right) for one in found.choices] == [
        ("base model alone", 0.25), ("user's model alone", 0.5), ("contrast", 0.75)
    ]  # fmt: skip
    assert [(gain.difference.mean, gain.better, gain.worse) for gain in gains(found.choices)] == [
        (0.25, 3, 0), (0.25, 3, 0)
    ]  # fmt: skip
    assert found.changes == Changes(tokens=5 * 4, changed=5 * 3, before=5 * 1, after=5 * 2)


def test_without_a_contrast_there_are_no_choices_to_compare(built, following):
    plan = built("oppu")
    assert diagnose_plan(plan).choices == () and diagnose_plan(plan).changes is None


def test_what_was_not_trained_cannot_be_diagnosed(planner, engine):
    with pytest.raises(LampbenchError, match=r"task_sft, .* not in the cache .* `lampbench run`"):
        diagnose_plan(planner("cope"))
    assert not engine.trained
    with pytest.raises(LampbenchError, match="base trains nothing"):
        diagnose_plan(planner("base"))


def test_without_references_there_is_nothing_to_score(planner, dataset):
    users = tuple(
        replace(user, queries=tuple(replace(query, reference=None) for query in user.queries))
        for user in dataset.test_users
    )
    plan = planner("oppu", data=replace(dataset, test_users=users))
    for stage in plan.stages:
        build(plan, stage)
    with pytest.raises(LampbenchError, match="no test query has a reference"):
        diagnose_plan(plan)


@pytest.mark.parametrize("method", ["oppu_shuffled", "oppu_halves", "oppu_dpo_held_out"])
def test_adapters_of_another_method_are_not_shown_as_a_methods_own(built, method):
    """They are in the cache beside its own, which are of halves or of records dealt out anew."""
    built("oppu")
    plan = built(method)
    with pytest.raises(LampbenchError, match=f"{method} trains user_sft on halves of histories or"):
        diagnose_plan(plan)
