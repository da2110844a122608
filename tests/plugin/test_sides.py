"""What decodings with several sides ask of the engine; resume, keys, cost and diagnosis."""

import dataclasses

import pytest

from lampbench.engine.models import resolve_model
from lampbench.execution.make_answers import build
from lampbench.execution.runner import execute
from lampbench.plugin import Contrastive, Plain, Side, TaskSFT
from lampbench.plugin.identity import identity
from lampbench.record.recorded_run import read_run
from lampbench.study.diagnose import diagnose_plan
from lampbench.study.token_cost import Lengths, answer_cost
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest
from tests.shared.fake_runs import Killed

METHOD = """
from lampbench.plugin import *

tam = TaskSFT()
oppu = UserSFT(start=tam)

{more}
@register_method("mine")
class Mine(Method):
    prompting = {prompting}
    adaptation = {weights}
    decoding = {decoding}
"""


ODD = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Odd(WeightedSides):
{fields}
    def factors(self):
        return {factors}
"""


@pytest.fixture
def plan(planner, tmp_path):
    def make(decoding, *settings, prompting="RetrievalAugmented(k=2)", weights="oppu", more=""):
        text = METHOD.format(decoding=decoding, weights=weights, prompting=prompting, more=more)
        file = tmp_path / digest(text) / "mine.py"  # a file is imported once
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return planner("mine", *settings, plugins=[file])

    return make


def first_request(plan):
    user = plan.executor.dataset.test_users[0]
    return user, plan.method.requests(plan.executor, user)[0]


def plain_prompt(plan, user):
    return Plain().render(plan.executor, user, user.queries[0])


@pytest.mark.parametrize(
    ("side", "prompted", "kept"),
    [
        ("tam", False, 1),
        ("Side(weights=tam)", False, 1),
        ("None", False, 0),
        ("Side(weights=None)", False, 0),
        ("Side(prompting=Plain())", True, 2),
        ("Side(prompting=Plain(), weights=tam)", True, 1),
        ("Side(prompting=Plain(), weights=None)", True, 0),
    ],
)
def test_what_a_side_leaves_out_is_the_methods_own(plan, side, prompted, kept):
    made = plan(f"Contrastive(against={side}, alpha=0.3, tau=0.1)")
    user, request = first_request(made)
    contrast = request.spec.contrast
    assert len(request.weights) == 2
    assert contrast.against == request.weights[:kept]
    assert (contrast.alpha, contrast.tau, contrast.own, contrast.more) == (0.3, 0.1, 1.0, ())
    assert request.other_prompts == ((plain_prompt(made, user),) if prompted else ())
    assert request.prompt != plain_prompt(made, user)


def test_todays_spelling_keeps_its_identity():
    """A recorded key depends on it: the part inside is the recipe, not a side around it."""
    part = identity(Contrastive(against=TaskSFT(), alpha=0.3, tau=0.1))
    assert part["code"] == ["built-in", "contrastive", 1]
    assert part["parts"]["against"] == identity(TaskSFT())
    assert identity(Contrastive(against=Side(weights=TaskSFT()))) != part


def test_guidance_amplifies_what_the_context_changes(plan):
    made = plan("Guided(strength=0.5)", weights="None")
    user, request = first_request(made)
    contrast = request.spec.contrast
    assert (contrast.own, contrast.others, contrast.tau) == (1.5, (((), -0.5),), 0.0)
    assert request.other_prompts == (plain_prompt(made, user),)


def test_experts_are_two_sides_with_opposite_factors(plan):
    made = plan("ExpertGuided(expert=oppu, antiexpert=Side(Plain(), tam))", weights="None")
    user, request = first_request(made)
    expert, anti = request.spec.contrast.others
    assert (expert[1], anti[1], request.spec.contrast.own) == (2.0, -2.0, 1.0)
    assert request.weights == () and len(expert[0]) == 2 and anti[0] == expert[0][:1]
    assert request.other_prompts == (None, plain_prompt(made, user))


@pytest.mark.parametrize(("sides", "given"), [(1, 3), (2, 2), (0, 1)])
def test_a_factor_for_every_side(plan, sides, given):
    fields = "".join(f"    side{n}: Side = Side(prompting=Plain())\n" for n in range(sides))
    made = plan("Odd()", more=ODD.format(fields=fields, factors=(1.0,) * given))
    with pytest.raises(LampbenchError, match=f"Odd has {sides} sides .* gives {given} numbers"):
        first_request(made)


def test_every_setting_of_a_side_is_in_the_key(plan):
    keys = [
        plan(decoding).executor.keys.run()
        for decoding in (
            "Guided(strength=0.5)",
            "Guided(strength=0.6)",
            "Guided(away_from=Side(weights=tam), strength=0.5)",
            "Guided(away_from=Side(prompting=ProfileAugmented(k=2)), strength=0.5)",
        )
    ]
    assert len(set(keys)) == 4


def test_a_sides_profile_is_made_for_test_users(plan):
    made = plan("Guided(away_from=Side(prompting=ProfileAugmented(k=0)))", prompting="Plain()")
    assert sorted(stage.name for stage in made.stages) == ["profile", "task_sft", "user_sft"]


def test_a_killed_run_goes_on_where_it_ended(plan, engine):
    made = plan("Guided(strength=0.5)", weights="None")
    engine.budget = 2
    with pytest.raises(Killed):
        execute(made, "x", made.folder.parents[3])
    assert len(engine.generated) == 2
    engine.budget = None
    folder = execute(made, "x", made.folder.parents[3])
    assert len(engine.generated) == len({repr(r.prompt) for r in engine.generated}) == 5
    assert all(len(r.other_prompts) == 1 for r in engine.generated)
    assert len(read_run(folder).predictions) == 5


def test_every_side_reads_its_own_prompt_and_writes(plan):
    def cost(decoding, prompting="RetrievalAugmented(k=2)"):
        spec = plan(decoding, prompting=prompting).spec
        return answer_cost(spec, Lengths(resolve_model("bundled")))

    plain, rag = cost("Greedy()", "Plain()"), cost("Greedy()")
    guided, triple = cost("Guided()"), cost("ExpertGuided(expert=oppu, antiexpert=tam)")
    assert guided.read == rag.read + plain.read and guided.written == 2 * rag.written
    assert triple.read == 3 * rag.read and triple.written == 3 * rag.written
    assert rag.read > plain.read


def test_diagnosis_compares_the_sum_with_each_side_alone(plan, engine):
    """Under a method that trains nothing too; each side alone has its prompt and weights."""
    made = plan("Guided(strength=0.5)", weights="None")
    found = diagnose_plan(made)
    assert [one.by for one in found.choices] == [
        "other side alone", "user's model alone", "contrast"
    ]  # fmt: skip
    asked = [request for request in engine.generated if request.id == "0"]
    user = made.executor.dataset.test_users[0]
    own, other = made.executor.prompt(user, user.queries[0]), plain_prompt(made, user)
    by_prompt = sorted((r.prompt == own, len(r.other_prompts)) for r in asked)
    assert by_prompt == [(False, 0), (True, 0), (True, 1)]
    alone = next(r for r in asked if r.prompt == other)
    assert alone.spec.contrast.others == (((), -0.0),) and alone.spec.contrast.own == 1.0


def test_diagnosis_of_three_sides(plan):
    made = plan("ExpertGuided(expert=oppu, antiexpert=tam)", weights="None")
    for stage in made.stages:
        build(made, stage)
    found = diagnose_plan(made)
    assert [one.by for one in found.choices] == [
        "side 1 alone", "side 2 alone", "user's model alone", "contrast"
    ]  # fmt: skip
    assert [one.stage for one in found.likelihoods] == ["model", "task_sft", "user_sft"]


def test_rewards_are_asked_for_with_sides(plan):
    made = plan("Guided(strength=0.5)", weights="None")
    made.executor.spec = dataclasses.replace(made.executor.spec, rewards=True)
    _, request = first_request(made)
    assert request.spec.rewards
