"""What can be found wrong with plans before a model is loaded."""

from collections.abc import Iterator, Sequence

from lampbench.engine.pool import EnginePool
from lampbench.execution.plan import Plan
from lampbench.plugin.context import Recipe
from lampbench.plugin.hyperparameter import Part, child_parts, hyper_fields

_BUDGET = "max_new_tokens"


def require_runnable(plans: Sequence[Plan], pool: EnginePool) -> None:
    """Make sure that the models of plans can be run, and have room for the answers asked of them.

    A run that is recorded already needs no model. What needs a model's weights or tokenizer, such
    as the length of a prompt, is found when the run comes to it.

    Raises:
        LampbenchError: a chat template, device or precision is not here, a model's files are
            missing, or a token budget leaves no room in the model's context.
    """
    checked: set[tuple[str, str, object]] = set()
    for plan in plans:
        for model, path, budget in _budgets(plan):
            if (model, path, budget) in checked:
                continue
            checked.add((model, path, budget))
            pool.require_runnable(model)
            pool.require_room(model, budget, f"{path}={budget} of {plan.title}")


def _budgets(plan: Plan) -> Iterator[tuple[str, str, int]]:
    """Each model that a plan asks for answers, with the path and value of the token budget."""
    parts: list[Part] = [plan.method.decoding, *(stage.recipe for stage in plan.stages)]
    for part in parts:
        asked = part.model_name(plan.spec.model) if isinstance(part, Recipe) else plan.spec.model
        for each in _inside(part):
            for path, field in hyper_fields(each):
                if field.name == _BUDGET:
                    yield asked, path, getattr(each, field.name)


def _inside(part: Part) -> Iterator[Part]:
    """A part and the parts in it but recipes, which are stages of their own."""
    yield part
    for _, child in child_parts(part):
        if not isinstance(child, Recipe):
            yield from _inside(child)
