"""Whether a submitted run's key is that of the settings that it states."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset
from lampbench.engine.models import BUNDLED, MODEL_PRESETS
from lampbench.engine.pool import DEFAULT_ENGINE, IN_THIS_PROCESS
from lampbench.execution.fill_manifest import method_parts
from lampbench.execution.plan import Plan
from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.import_export import external_key
from lampbench.record.manifest import PREDICT, Manifest
from lampbench.record.publication import PUBLIC_DATA
from lampbench.record.recorded_run import Run
from lampbench.registry import Registry
from lampbench.study.replan import Replanner
from lampbench.study.submission_findings import SubmissionFindings
from lampbench.util.errors import LampbenchError, short_repr


def verify_settings(run: Run, dataset: Dataset | None, found: SubmissionFindings) -> None:
    """Add what holds of a run's settings, what does not, and what cannot be known here.

    Args:
        run: the run.
        dataset: its data; None where that is not here.
        found: what is found is added here.
    """
    manifest = run.manifest
    if manifest.external is not None:
        _verify_external(run, found)
        return
    if why := _not_planned(manifest, dataset):
        found.unchecked.append(f"the key is that of the stated settings: {why}")
    else:
        _verify_keys(manifest, found)
    trained = [stage.stage for stage in manifest.stages if stage.stage != PREDICT]
    after = f" after the stages {', '.join(trained)}" if trained else ""
    found.unchecked.append(
        f"{manifest.model} gave these answers{after}, on the machine and at the cost that are "
        f"stated: only running it again shows that ({manifest.command or 'no command is recorded'})"
    )


def _verify_external(run: Run, found: SubmissionFindings) -> None:
    if not run.manifest.private:
        answers = (row.prediction for row in run.predictions)
        if external_key(run.manifest, answers) != run.manifest.key:
            found.refused.append("the key is not that of these answers")
        else:
            found.checked.append("the key is that of these answers")
    found.unchecked.append("answers made elsewhere: method, model, settings and seed are as stated")


def _not_planned(manifest: Manifest, dataset: Dataset | None) -> str:
    """Why a run cannot be planned here; empty where it can."""
    if manifest.method not in Registry().names("method"):
        return f"method {manifest.method} is none of this version"
    preset = MODEL_PRESETS.get(manifest.model)
    package = preset.package if preset else None
    if manifest.model not in BUNDLED and (package is None or find_spec(package.module) is None):
        return f"model {manifest.model} is not here"
    details = manifest.model_details
    engines = {details.engine or DEFAULT_ENGINE, *details.stage_engines.values()}
    if others := sorted(engines - IN_THIS_PROCESS):
        return f"engine {others[0]} is not asked here"
    values = {path: setting.value for path, setting in manifest.hyperparameters.items()}
    for path, value in (*values.items(), *manifest.overrides.items()):
        if isinstance(value, str) and os.path.isdir(value):  # noqa: PTH112 (any text)
            return f"{path} names a folder, {value}, and no folder that a submission names is read"
    options = manifest.dataset.options
    if dataset is None or options is None or options.data != PUBLIC_DATA:
        return "its data does not come with the package"
    return ""


def _verify_keys(manifest: Manifest, found: SubmissionFindings) -> None:
    stated = {path: SourcedValue(value, "stated") for path, value in manifest.overrides.items()}
    with tempfile.TemporaryDirectory() as folder:
        replanner, root = Replanner(Path(folder) / "cache"), Path(folder)
        try:
            plan = replanner.plan(manifest, root)
            defaults = replanner.plan(replace(manifest, hyperparameters=stated), root)
        except LampbenchError as error:
            found.refused.append(f"its settings cannot be planned: {error}")
            return
    keys = plan.executor.keys
    stages = {one.name: keys.joint(one.recipe, one.owners) for one in plan.stages}
    recorded = {one.stage: one.key for one in manifest.stages if one.stage != PREDICT}
    if plan.folder.name != manifest.key or stages != recorded:
        found.refused.append(
            f"the stated settings have key {plan.folder.name}, not {manifest.key}: another "
            "version, model or code made it, or the manifest was changed"
        )
    elif defaults.folder.name != manifest.key:
        found.refused.append(
            "its settings are not the defaults with the stated overrides: run it again with this "
            "version"
        )
    elif wrong := _other_parts(manifest.method_parts, method_parts(plan)):
        found.refused.append(
            f"method_parts names {short_repr(manifest.method_parts.get(wrong))} as {wrong}, which "
            f"method {manifest.method} does not have"
        )
    elif manifest.plugins:
        found.refused.append("plugins names code of its own, and all of it comes with lampbench")
    elif (titles := (manifest.method_title, manifest.task_title)) != (known := _titles(plan)):
        found.refused.append(
            f"method_title and task_title are {short_repr(titles)}, not {short_repr(known)}"
        )
    else:
        found.checked.append(
            "key and stages are those of the stated settings, data and model; parts and titles are "
            "the method's and the task's"
        )


def _titles(plan: Plan) -> tuple[str, str]:
    """What the plan's run would be called in tables."""
    return plan.method.title or plan.method.name, plan.executor.task.title


def _other_parts(recorded: Mapping[str, Any], actual: Mapping[str, Any]) -> str:
    """The first field of a method that is recorded with other parts than it has; empty for none."""
    fields = sorted(recorded.keys() | actual.keys())
    missing = recorded.keys() ^ actual.keys()
    return next((n for n in fields if n in missing or not _is_part(recorded[n], actual[n])), "")


def _is_part(recorded: Any, actual: Any) -> bool:
    """Whether a recorded part is this one; a part inside it may be missing, since earlier versions
    did not name all.
    """
    if not isinstance(recorded, Mapping) or not isinstance(actual, Mapping):
        return bool(recorded == actual)
    inside = recorded.keys() <= actual.keys() and recorded.get("part") == actual["part"]
    return inside and all(_is_part(value, actual[name]) for name, value in recorded.items())
