"""Every committed run is still found: today's code plans it under the key it was recorded with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.data import DataOptions
from lampbench.engine.pool import EnginePool
from lampbench.execution import options as run_options
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.plan import Plan
from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.manifest import PREDICT, Manifest
from lampbench.record.runs import load_runs
from lampbench.util.progress import Progress

HELP = """
{count} of {all} committed runs are planned under other keys than they were recorded with, so that
nothing recorded or cached would be found any more. First: {first}

Keys change with what `Keys` (lampbench/execution/keys.py) puts into them: declared names and
versions of methods, parts and tasks, names of hyper-parameters and of parts' fields, prompts'
wording, fingerprints of data and models. If the change was not meant to change any answer (a
renaming), undo it. If it was, raise the `version` of the part, method or task that changed and
record its runs again.
"""


@pytest.fixture
def each_dataset_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[Task, str, DataOptions], Dataset] = run_options.load_dataset
    known: dict[tuple[str, str, DataOptions], Dataset] = {}

    def load(task: Task, data: str, options: DataOptions) -> Dataset:
        place = (task.name, data, options)
        if place not in known:
            known[place] = real(task, data, options)
        return known[place]

    monkeypatch.setattr(run_options, "load_dataset", load)


def plan_of(manifest: Manifest, cache: Path, results: Path, pools: dict[str, EnginePool]) -> Plan:
    """The run planned again, with all its hyper-parameters given: only values count in keys."""
    data = manifest.dataset.options
    assert data is not None
    choices = RunOptions(
        methods=[manifest.method],
        tasks=[manifest.task],
        models=[manifest.model],
        seeds=[manifest.seed],
        data=data.data,
        users=data.users,
        min_history=data.min_history,
        split_by=data.split_by,  # type: ignore[arg-type]
        splits=data.splits,
        data_seed=data.seed,
        preset=manifest.preset,
        fidelity=manifest.fidelity,
        dtype=manifest.model_details.dtype,
        chat_template=manifest.model_details.chat_template,
        engine=manifest.model_details.engine or "batched",
        cache_dir=cache,
    )
    given = {
        path: SourcedValue(one.value, one.source) for path, one in manifest.hyperparameters.items()
    }
    circumstances = f"{manifest.fidelity} {manifest.model_details}"
    if circumstances not in pools:
        pools[circumstances] = engine_pool(choices, Progress())
    ((_, plan),) = grid_plans(choices, [given], results, pools[circumstances])
    return plan


@pytest.mark.usefixtures("each_dataset_once")
def test_committed_runs_are_planned_as_recorded(root: Path, tmp_path: Path) -> None:
    pools: dict[str, EnginePool] = {}
    different = []
    count = 0
    for folder in (root / "results", root / "tuning"):
        runs, problems = load_runs(folder)
        assert runs and not problems, problems[:1]
        for run in runs:
            count += 1
            plan = plan_of(run.manifest, tmp_path, folder, pools)
            keys = plan.executor.keys
            found = {one.name: keys.joint(one.recipe, one.owners) for one in plan.stages}
            recorded = {s.stage: s.key for s in run.manifest.stages if s.stage != PREDICT}
            if plan.folder != run.path:
                different.append(f"{run.path} is now {plan.folder.name}")
            elif found != recorded:
                different.append(f"{run.path} has stages {recorded}, now {found}")
    assert not different, HELP.format(count=len(different), all=count, first=different[0])
