"""Whether the engine of every stage can do what the stage needs, before anything runs."""

from collections.abc import Iterator, Sequence

from lampbench.engine.capability import Capability, in_words, needs_of_spec
from lampbench.engine.pool import EnginePool
from lampbench.execution.plan import Plan
from lampbench.plugin.recipe_graph import adapters_of
from lampbench.plugin.reranking import Reranked
from lampbench.plugin.side import OwnPrompting
from lampbench.record.manifest import PREDICT
from lampbench.util.errors import LampbenchError


def require_able(plans: Sequence[Plan], pool: EnginePool) -> None:
    """Make sure that the engine of every stage can do what is known of it before it runs.

    Stages that are cached need no engine. What a plugin's code asks without saying it here is
    checked when it asks.

    Raises:
        LampbenchError: one cannot; the message names the stage, the engine, and others that can.
    """
    for plan in plans:
        for stage, engine, model, needed in _needs(plan):
            if lacking := needed - pool.able(model, engine):
                raise LampbenchError(
                    f"{stage} of {plan.title}: engine {engine} cannot {in_words(lacking)}; "
                    f"{_remedy(stage, pool.others_able(needed))}"
                )


def _remedy(stage: str, able: Sequence[str]) -> str:
    if not able:
        return "no engine that is installed here can; choose another method"
    return (
        f"use --engine {' or '.join(able)}, or for this stage alone, in the file of --config, "
        f'[engine] {stage} = "{able[0]}"'
    )


def _needs(plan: Plan) -> Iterator[tuple[str, str, str, frozenset[Capability]]]:
    """Each stage with its engine, its model, and what it needs."""
    for stage in plan.stages:
        needed = stage.recipe.needs()
        if needed and stage.to_make(plan.executor):
            model = stage.recipe.model_name(plan.spec.model)
            yield stage.name, plan.executor.engine_of(stage.recipe), model, needed
    if not plan.done and plan.method.generated_per_query() != 0:
        yield PREDICT, plan.executor.engine_of(None), plan.spec.model, answer_needs(plan)


def answer_needs(plan: Plan) -> frozenset[Capability]:
    """What answering the queries needs, as far as a method's parts say it."""
    method, decoding = plan.method, plan.method.decoding
    user = next(iter(plan.spec.dataset.test_users), None)
    if user is None:
        return frozenset({Capability.GENERATE})
    spec = decoding.spec(plan.executor, user)
    needed = set(needs_of_spec(spec, method.generated_per_query() or 1))
    if any(not isinstance(side.prompting, OwnPrompting) for side in decoding.sides):
        needed.add(Capability.CONTRAST_PROMPTS)
    if isinstance(decoding, Reranked) and decoding.by and decoding.by.models_asked:
        needed.add(Capability.SCORE)
    return frozenset(needed) | adapters_of(method.adaptation, decoding)
