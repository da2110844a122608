"""The manifest of a run: how each of its numbers was made."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lampbench.engine.models import is_bundled
from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.execution.plan import Plan
from lampbench.execution.stage_engines import uses_engine
from lampbench.plugin.context import Recipe
from lampbench.plugin.hyperparameter import Part, SourcedValue, child_parts
from lampbench.plugin.identity import PLUGIN, code_identity, label
from lampbench.plugin.method import Method
from lampbench.record.manifest import PREDICT, Manifest, ModelDetails, StageCost
from lampbench.record.recorded_dataset import RecordedDataset
from lampbench.record.versions import versions
from lampbench.scoring import PredictionRow, ScoringDescription
from lampbench.util.machine import hardware


def describe(
    plan: Plan,
    stages: Sequence[StageCost],
    rows: Sequence[PredictionRow],
    prompt_head: Sequence[int],
    command: str,
    dataset: RecordedDataset,
    scoring: ScoringDescription,
) -> Manifest:
    """Everything known about a run but its scores, which are added when it is written."""
    executor, method = plan.executor, plan.method
    model = model_details(plan)
    return Manifest(
        key=plan.folder.name,
        method=method.name,
        method_title=method.title or method.name,
        task=executor.task.name,
        task_title=executor.task.title,
        model=executor.model_spec.name,
        seed=executor.seed,
        preset=plan.preset,
        fidelity=executor.fidelity.name,
        overrides={path: setting.value for path, setting in sorted(plan.overridden.items())},
        method_parts=method_parts(plan),
        plugins=plan.plugins,
        hyperparameters={
            path: SourcedValue(setting.value, setting.source)
            for path, setting in sorted(plan.settings.items())
        },
        dataset=dataset,
        model_details=model,
        versions=versions(),
        hardware=hardware(model.device),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        stages=tuple(stages),
        failed_users=dict(executor.failed_users),
        prompt_head=tuple(prompt_head),
        prompts_shortened=sum(bool(row.prompt_tokens_dropped) for row in rows),
        scoring=scoring,
        service=executor.books.service.details(*_prices_and_cost(plan, stages)),
    )


def _prices_and_cost(
    plan: Plan, costs: Sequence[StageCost]
) -> tuple[tuple[float, float] | None, float | None]:
    """What a million tokens read and written cost, and the sum over all stages and the answers.

    Both are None where no prices were given.
    """
    executor = plan.executor
    recipes: dict[str, Recipe | None] = {stage.name: stage.recipe for stage in plan.stages}
    recipes = {name: one for name, one in recipes.items() if one and uses_engine(one)}
    recipes[PREDICT] = None
    known: tuple[float, float] | None = None
    total = 0.0
    for cost in costs:
        if cost.stage in recipes:
            recipe = recipes[cost.stage]
            model = recipe.model_name(executor.model) if recipe else executor.model
            if prices := executor.engines.prices(model, executor.engine_of(recipe)):
                known = known or prices
                total += cost.prompt_tokens * prices[0] + cost.new_tokens * prices[1]
    return known, round(total / 1_000_000, 6) if known else None


def method_parts(plan: Plan) -> dict[str, Any]:
    """The method's prompting, adaptation and decoding: names of parts, by field inside them.

    Where a plugin asks for its answers itself, in a `predict` or `requests` of its own, this
    function has its class under its name: the three do not tell then what the answers depend on.
    """
    names = ("prompting", "adaptation", "decoding")
    own = {name: kind.__name__ for name in ("predict", "requests")
           if (kind := _plugin_with(plan.method, name)) is not None}  # fmt: skip
    return {
        **{name: _named(getattr(plan.method, name)) for name in names},
        **{name: {"part": kind} for name, kind in own.items()},
    }


def _plugin_with(method: Method, function: str) -> type | None:
    """The class whose function a method has, where that is a plugin's."""
    kind = next(one for one in type(method).__mro__ if function in vars(one))
    return kind if kind is not Method and code_identity(kind)[0] == PLUGIN else None


def _named(part: Part | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {"part": label(part), **{name: _named(child) for name, child in child_parts(part)}}


def model_details(plan: Plan) -> ModelDetails:
    """Which model a plan asks, and how it is run."""
    executor = plan.executor
    engines, answering = executor.engines, executor.engine_of(None)
    spec, identity = executor.model_spec, engines.identity(executor.model, answering)
    server = engines.server(executor.model, answering)
    location = "lampbench.bundled" if is_bundled(spec) else spec.location
    return ModelDetails(
        location=location,
        revision=engines.revision(executor.model, answering),
        fingerprint=identity["fingerprint"],
        dtype=identity["dtype"] or None,
        chat_template=identity["chat_template"],
        device=engines.device(executor.model, answering),
        engine=answering,
        engine_identity=_with_told(identity, server),
        stage_engines=stage_engines(plan),
        stage_identities=_stage_identities(plan),
        engine_arguments=given_arguments(plan),
        arguments=engines.arguments(),
        batching=engines.batching(executor.model, answering),
        notes=(
            *spec.notes,
            *(server.notes() if server else ()),
            *executor.books.service.notes(),
        ),
    )


def stage_engines(plan: Plan) -> dict[str, str]:
    """The engines of stages that another one builds than answers, by stage."""
    executor = plan.executor
    named = {stage.name: executor.engine_of(stage.recipe) for stage in plan.stages
             if uses_engine(stage.recipe)}  # fmt: skip
    return {stage: name for stage, name in named.items() if name != executor.engine_of(None)}


def _stage_identities(plan: Plan) -> dict[str, dict[str, str]]:
    """What the engines of `stage_engines` are, by stage."""
    executor, named = plan.executor, stage_engines(plan)
    found = {}
    for stage in plan.stages:
        if stage.name in named:
            model = stage.recipe.model_name(executor.model)
            known = executor.engines.identity(model, named[stage.name])
            server = executor.engines.server(model, named[stage.name])
            found[stage.name] = _with_told(known, server)
    return found


def _with_told(identity: Mapping[str, Any], server: ServerConfiguration | None) -> dict[str, str]:
    """What an engine is, with what a server told of itself."""
    return {**identity.get("engine", {}), **(server.identity() if server else {})}


def given_arguments(plan: Plan) -> dict[str, dict[str, Any]]:
    """The arguments that were given to the engines of a plan, by engine.

    Those that say where or how fast an engine runs, and change no answer, are left out: they are
    this machine's business.
    """
    executor = plan.executor
    used = {executor.engine_of(None), *stage_engines(plan).values()}
    given = executor.engines.options.engine_arguments
    keyed = {name: executor.engines.keyed_arguments(name) for name in used}
    found = {
        name: {key: value for key, value in given.get(name, {}).items() if key in keyed[name]}
        for name in sorted(used)
    }
    return {name: values for name, values in found.items() if values}
