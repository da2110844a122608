"""The paper's experiments: their plans, and carrying them out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from lampbench.api.executing import execute_all
from lampbench.api.processes import ProcessChoices
from lampbench.api.running import as_written, engines_of, options, plan
from lampbench.api.settings import EXPERIMENTS, RunSettings, as_list
from lampbench.api.worker_call import WorkerCall, worker_call
from lampbench.execution.check_plans import require_runnable
from lampbench.execution.plan import Plan
from lampbench.record.recorded_run import DamagedRun
from lampbench.util.defaults import RESULTS
from lampbench.util.disk import could_be_written
from lampbench.util.errors import LampbenchError, suggestion


def reproduce(
    experiments: str | Sequence[str] = EXPERIMENTS,
    *,
    models: str | Sequence[str] = (),
    methods: str | Sequence[str] = (),
    tasks: str | Sequence[str] = (),
    seeds: int | Sequence[int] = (0,),
    lamp: str | None = None,
    longlamp: str | None = "longlamp",
    results: Path | str = RESULTS,
    run: bool = False,
    command: str = "",
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
    shard: str | None = None,
    **settings: Unpack[RunSettings],
) -> dict[str, list[Plan]]:
    """The plans of the paper's experiments by name; with `run` they are carried out.

    Args:
        experiments: of "main", "cross-model", "ablation", "sensitivity".
        models: models in place of the paper's four, the main one first.
        methods: only these; all of an experiment where empty.
        tasks: only these; all of an experiment where empty.
        seeds: seeds of all random choices.
        lamp: source of the LaMP tasks' data, such as "lamp:DIR".
        longlamp: source of the LongLaMP tasks' data.
        results: folder of recorded runs.
        run: run what is not recorded yet; what is recorded stands in `results`, as each plan says
            by its `done` and `folder`.
        command: what manifests record as the command; by default this call.
        workers: as for `run_all`, and so are `executor`, `address` and `shard`; with `run`.
        executor: see `workers`.
        address: see `workers`.
        shard: see `workers`.
        settings: see `RunSettings`; `data` is one source for all tasks.

    Raises:
        LampbenchError: an option is invalid (nothing has been computed then), or data or a model
            is; or a worker failed (finished work is kept).
        DamagedRun: a run was recorded before and is damaged; the others are carried out.
    """
    chosen = ProcessChoices(workers=workers, executor=executor, address=address, shard=shard)
    sources = {"lamp": lamp, "longlamp": longlamp}
    call = worker_call(
        methods, tasks, None, models, seeds, results, False, settings,
        experiments=as_list(experiments), sources=sources,
    )  # fmt: skip
    if not run:
        if chosen != ProcessChoices():
            raise LampbenchError(
                "workers, executor, address and shard say how plans are carried out: add run=True"
            )
        return _experiments(call)
    processes = call.processes(chosen)
    groups = _experiments(call)
    told = command or as_written("reproduce", call)
    found = execute_all(_distinct(groups), results, told, processes=processes)
    if found.problems:
        raise DamagedRun(found.problems[0])
    return groups


def planned(call: WorkerCall) -> list[Plan]:
    """The plans of a call that a worker was told of.

    Raises:
        LampbenchError: an option is invalid; nothing has been computed.
    """
    if call.experiments:
        return _distinct(_experiments(call))
    return plan(call.methods, call.tasks, **call.places(), **call.settings)


def _experiments(call: WorkerCall) -> dict[str, list[Plan]]:
    from lampbench.study.reproduce import require_part_of, slice_plans

    for name in call.experiments:
        if name not in EXPERIMENTS:
            raise LampbenchError(
                f"the paper has no experiment {name!r}: {suggestion(name, EXPERIMENTS)}"
            )
    require_part_of(call.experiments, call.methods, call.tasks)
    chosen = options(
        call.methods, call.tasks, models=call.models, seeds=call.seeds, **call.settings
    )
    data = call.settings.get("data")
    by_family = {family: data or source for family, source in call.sources.items()}
    sources = {family: source for family, source in by_family.items() if source}
    results = Path(call.results)
    could_be_written(results, "--results")
    pool = engines_of(chosen)
    found = {n: slice_plans(n, chosen, sources, results, pool) for n in call.experiments}
    require_runnable([plan for plans in found.values() for plan in plans], pool)
    return found


def _distinct(groups: dict[str, list[Plan]]) -> list[Plan]:
    """Each run once: experiments share some."""
    return list({plan.folder: plan for group in groups.values() for plan in group}.values())
