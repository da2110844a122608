"""What can be found wrong with plans before a model is loaded."""

from collections.abc import Callable, Iterator, Sequence

from lampbench.engine.pool import EnginePool
from lampbench.execution.check_engines import require_able
from lampbench.execution.plan import Plan
from lampbench.execution.stage_engines import uses_engine
from lampbench.plugin.adaptation import UserFineTuning
from lampbench.plugin.adapter_recipe import LoraRecipe
from lampbench.plugin.context import Recipe
from lampbench.plugin.hyperparameter import Part, child_parts, hyper_fields
from lampbench.util.errors import LampbenchError

_BUDGET = "max_new_tokens"


def require_runnable(plans: Sequence[Plan], pool: EnginePool) -> None:
    """Make sure that the models of plans can be run, and have room for the answers asked of them.

    A run that is recorded already needs no model, but its options must be valid. What needs a
    model's weights or tokenizer, such as the length of a prompt, is found when the run comes to it.

    Raises:
        LampbenchError: an engine does not take an option, no engine uses one, a chat template,
            device or precision is not here, a model's files are missing, a token budget leaves no
            room in the model's context, an adapter names layers that the model does not have, or a
            stage needs what its engine cannot do.
    """
    asked = dict.fromkeys(each for plan in plans for each in _engines(plan))
    pool.require_used(engine for _, engine in asked)
    for model, engine in asked:
        pool.require_options(model, engine)
    require_able(plans, pool)
    checked: set[tuple[str, str, str, object]] = set()
    for plan in plans:
        if plan.done:
            continue
        for model, engine, path, budget in _budgets(plan):
            if (model, engine, path, budget) in checked:
                continue
            checked.add((model, engine, path, budget))
            pool.require_runnable(model, engine)
            pool.require_room(model, budget, f"{path}={budget} of {plan.title}", engine)
        for model, engine, targets in _trained_layers(plan):
            if (model, engine, "targets", targets) not in checked:
                checked.add((model, engine, "targets", targets))
                pool.require_targets(model, targets, engine)


def installed_plans(
    plans: Sequence[Plan], methods: Sequence[object], say: Callable[[str], None]
) -> list[Plan]:
    """Plans without the methods whose packages are not installed here, where `all` were asked for.

    One message names these methods and what they need. A run that is recorded already needs none.

    Raises:
        LampbenchError: a method that was asked for by its name needs such a package.
    """
    lacking: dict[str, str] = {}
    for plan in plans:
        reasons = (stage.recipe.missing_package() for stage in plan.stages)
        if not plan.done and (reason := next(filter(None, reasons), None)):
            name = plan.method.name
            if "all" not in methods or name in methods:
                raise LampbenchError(f"method {name}: {reason}")
            lacking[name] = reason
    for reason in dict.fromkeys(lacking.values()):
        names = ", ".join(name for name, why in lacking.items() if why == reason)
        say(f"--method all: left out {names}: {reason}")
    return [plan for plan in plans if plan.done or plan.method.name not in lacking]


def _engines(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each model and engine of a plan, whether or not they have work left."""
    executor = plan.executor
    yield plan.spec.model, executor.engine_of(None)
    for stage in plan.stages:
        if uses_engine(stage.recipe):
            model = stage.recipe.model_name(plan.spec.model)
            yield model, executor.engine_of(stage.recipe)


def _trained_layers(plan: Plan) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The names of the layers that each stage's new adapters are on, with model and engine."""
    for stage in plan.stages:
        recipe = stage.recipe
        targets: tuple[str, ...] = ()
        if isinstance(recipe, LoraRecipe):
            targets = recipe.lora().targets
        elif isinstance(recipe, UserFineTuning):
            targets = getattr(recipe.adapter(), "targets", ())
        if targets and stage.to_make(plan.executor):
            model = recipe.model_name(plan.spec.model)
            yield model, plan.executor.engine_of(recipe), targets


def _budgets(plan: Plan) -> Iterator[tuple[str, str, str, int]]:
    """Each model and engine that a plan asks for answers, with path and value of the budget."""
    parts: list[Part] = [plan.method.decoding, *(stage.recipe for stage in plan.stages)]
    for part in parts:
        recipe = part if isinstance(part, Recipe) else None
        asked = recipe.model_name(plan.spec.model) if recipe else plan.spec.model
        for each in _inside(part):
            for path, field in hyper_fields(each):
                if field.name == _BUDGET:
                    engine = plan.executor.engine_of(recipe)
                    yield asked, engine, path, getattr(each, field.name)


def _inside(part: Part) -> Iterator[Part]:
    """A part and the parts in it but recipes, which are stages of their own."""
    yield part
    for _, child in child_parts(part):
        if not isinstance(child, Recipe):
            yield from _inside(child)
