"""The manifest of a run: how each of its numbers was made."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lampbench.engine.model_files import commit_of
from lampbench.engine.models import is_bundled, resolve_model
from lampbench.execution.plan import Plan
from lampbench.plugin.hyperparameter import Part, SourcedValue, child_parts
from lampbench.plugin.identity import label
from lampbench.plugin.method import Prediction
from lampbench.record.manifest import Manifest, ModelDetails, RecordedDataset, StageCost
from lampbench.record.versions import versions
from lampbench.scoring import ScoringDescription
from lampbench.util.machine import hardware


def describe(
    plan: Plan,
    stages: Sequence[StageCost],
    predictions: Sequence[Prediction],
    command: str,
    dataset: RecordedDataset,
    scoring: ScoringDescription,
) -> Manifest:
    """Everything known about a run but its scores, which are added when it is written."""
    executor, method = plan.executor, plan.method
    spec = resolve_model(executor.model)
    return Manifest(
        key=plan.folder.name,
        method=method.name,
        method_title=method.title or method.name,
        task=executor.task.name,
        task_title=executor.task.title,
        model=spec.name,
        seed=executor.seed,
        preset=plan.preset,
        fidelity=executor.fidelity.name,
        overrides={path: setting.value for path, setting in sorted(plan.overridden.items())},
        method_parts=method_parts(plan),
        hyperparameters={
            path: SourcedValue(setting.value, setting.source)
            for path, setting in sorted(plan.settings.items())
        },
        dataset=dataset,
        model_details=model_details(plan),
        versions=versions(),
        hardware=hardware(),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        stages=tuple(stages),
        failed_users=dict(executor.failed_users),
        prompt_head=tuple(predictions[0].prompt_head) if predictions else (),
        prompts_shortened=sum(row.prompt_tokens_dropped > 0 for row in predictions),
        scoring=scoring,
    )


def method_parts(plan: Plan) -> dict[str, Any]:
    """The method's prompting, adaptation and decoding: names of parts, by field inside them."""
    names = ("prompting", "adaptation", "decoding")
    return {name: _named(getattr(plan.method, name)) for name in names}


def _named(part: Part | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {"part": label(part), **{name: _named(child) for name, child in child_parts(part)}}


def model_details(plan: Plan) -> ModelDetails:
    """Which model a plan asks, and how it is run."""
    executor = plan.executor
    spec, identity = resolve_model(executor.model), executor.engines.identity(executor.model)
    location = "lampbench.bundled" if is_bundled(spec) else spec.location
    return ModelDetails(
        location=location,
        revision=commit_of(spec),
        fingerprint=identity["fingerprint"],
        dtype=identity["dtype"],
        chat_template=identity["chat_template"],
        device=executor.engines.device(executor.model),
        engine=identity.get("engine", "batched"),  # part of the identity where it is another
        arguments=executor.engines.arguments(),
        batching=executor.engines.batching(executor.model),
        notes=spec.notes,
    )
