"""Running methods on tasks: one run, many, a sweep, the paper's experiments."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lampbench.api.executing import closing, execute_all
from lampbench.api.processes import ProcessChoices
from lampbench.api.settings import (
    AnyMethod,
    AnyTask,
    RunSettings,
    as_axes,
    as_list,
    checked_seeds,
    checked_settings,
    readable_again,
    settle_engine_settings,
    settle_model_settings,
)
from lampbench.api.worker_call import WorkerCall, worker_call
from lampbench.engine.pool import EnginePool
from lampbench.execution.check_plans import installed_plans, require_runnable
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.plan import Plan
from lampbench.record.recorded_run import DamagedRun, Run
from lampbench.record.runs import Runs
from lampbench.util.defaults import CACHE_DIR, RESULTS
from lampbench.util.disk import could_be_written
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.workers.worker_progress import new_progress

if TYPE_CHECKING:
    from lampbench.study.diagnose import Diagnosis


def run(
    method: AnyMethod,
    task: AnyTask,
    *,
    model: str = "bundled",
    seed: int = 0,
    results: Path | str = RESULTS,
    force: bool = False,
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
    **settings: Unpack[RunSettings],
) -> Run:
    """Run one method on one task and record the run; read it where it is recorded already.

    A run that is recorded without texts (`private`) stays so until `force`; a message says so.

    Args:
        method: a method's name, or a class.
        task: a task's name, or a class.
        model: a model preset, hub id or folder.
        seed: seed of all random choices.
        results: folder of recorded runs.
        force: predict and record again what is recorded already.
        workers: divide the users among so many processes of this machine, each with a GPU of its
            own or a share of the cores, or into so many tasks of Ray; None for this process (with
            Ray, as many as the cluster has GPUs, or else cores).
        executor: where workers run: "local", or "ray" for a Ray cluster.
        address: the Ray cluster, such as "10.0.0.5:6379"; None for a new one on this machine.
        settings: see `RunSettings`.

    Raises:
        LampbenchError: an option is invalid (nothing was computed then), or data or a model is; or
            a worker failed (finished work is kept).
    """
    known = of_one_run(settings, method=method, task=task, model=model, seed=seed)
    found = run_all(
        [method], [task], models=[model], seeds=[seed], results=results, force=force,
        workers=workers, executor=executor, address=address, **known,
    )  # fmt: skip
    if found.problems:
        raise DamagedRun(found.problems[0])
    return found[0]


def run_all(
    methods: AnyMethod | Sequence[AnyMethod],
    tasks: AnyTask | Sequence[AnyTask],
    *,
    models: str | Sequence[str] = ("bundled",),
    seeds: int | Sequence[int] = (0,),
    results: Path | str = RESULTS,
    force: bool = False,
    command: str = "",
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
    shard: str | None = None,
    **settings: Unpack[RunSettings],
) -> Runs:
    """Run every combination of methods, tasks, models and seeds; "all" names them all.

    All tasks are those with data in the chosen source. All options are checked before anything is
    computed. `command` is what manifests record as the command; by default this call. With `shard`,
    such as "0/4", this process works on this part of the users only; the process that ends last
    records the runs, and the others return none. Other arguments and errors as for `run`.
    """
    chosen = ProcessChoices(workers=workers, executor=executor, address=address, shard=shard)
    call = worker_call(methods, tasks, None, models, seeds, results, force, settings)
    return _carried_out(call, chosen, command or as_written("run_all", call))


def sweep(
    methods: AnyMethod | Sequence[AnyMethod],
    tasks: AnyTask | Sequence[AnyTask],
    grid: Mapping[str, Any],
    *,
    models: str | Sequence[str] = ("bundled",),
    seeds: int | Sequence[int] = (0,),
    results: Path | str = RESULTS,
    force: bool = False,
    command: str = "",
    workers: int | None = None,
    executor: str = "local",
    address: str | None = None,
    shard: str | None = None,
    **settings: Unpack[RunSettings],
) -> Runs:
    """Run every point of a grid of hyper-parameters, such as {"decoding.alpha": [0, 0.1, 0.3]}.

    Points share every artifact that does not depend on the values swept. Arguments and errors as
    for `run_all`.
    """
    chosen = ProcessChoices(workers=workers, executor=executor, address=address, shard=shard)
    call = worker_call(methods, tasks, grid, models, seeds, results, force, settings)
    return _carried_out(call, chosen, command or as_written("sweep", call))


def plan(
    methods: AnyMethod | Sequence[AnyMethod],
    tasks: AnyTask | Sequence[AnyTask],
    *,
    models: str | Sequence[str] = ("bundled",),
    seeds: int | Sequence[int] = (0,),
    results: Path | str = RESULTS,
    grid: Mapping[str, Any] | None = None,
    **settings: Unpack[RunSettings],
) -> list[Plan]:
    """What `run_all`, or with `grid` `sweep`, would do, and what of it has been made.

    Computes nothing. Everything is checked that can be known without loading a model, but for the
    free space on the disk, which is known when the plans are carried out. Arguments and errors as
    for `run_all`.
    """
    from lampbench.study.sweep import grid_points, require_swept_alone

    chosen = options(methods, tasks, models=models, seeds=seeds, **settings)
    could_be_written(Path(results), "--results")
    pool = engines_of(chosen)
    axes = as_axes(grid)
    _require_values(chosen, axes)
    require_swept_alone(chosen, axes)
    made = [each for _, each in grid_plans(chosen, grid_points(axes), Path(results), pool)]
    plans = installed_plans(made, chosen.methods, pool.progress.say)
    if not plans:
        raise LampbenchError("nothing is left to run; install what the message above names")
    require_runnable(plans, pool)
    return plans


def options(
    methods: AnyMethod | Sequence[AnyMethod],
    tasks: AnyTask | Sequence[AnyTask],
    *,
    models: str | Sequence[str] = ("bundled",),
    seeds: int | Sequence[int] = (0,),
    **settings: Unpack[RunSettings],
) -> RunOptions:
    """The options of a run as one frozen object, with the defaults of the command line.

    Raises:
        LampbenchError: there is no such setting, or a value is of another type or out of bounds.
    """
    known = checked_settings(settings)
    named = settle_model_settings(known, as_list(models))
    settle_engine_settings(known)
    seeds = checked_seeds(as_list(seeds))
    cache_dir = Path(known.pop("cache_dir", None) or CACHE_DIR)
    return RunOptions(
        methods=as_list(methods),
        tasks=as_list(tasks),
        models=named,
        seeds=seeds,
        cache_dir=cache_dir,
        **known,
    )


def diagnose(
    method: AnyMethod,
    task: AnyTask,
    *,
    model: str = "bundled",
    seed: int = 0,
    **settings: Unpack[RunSettings],
) -> "Diagnosis":
    """What each stage of a method's training made of the users' own words; trains nothing.

    Raises:
        LampbenchError: the method trains nothing, or was not run before.
    """
    from lampbench.study.diagnose import diagnose_plan

    with one_plan(method, task, model, seed, settings) as found:
        return diagnose_plan(found)


@contextmanager
def one_plan(
    method: AnyMethod, task: AnyTask, model: str, seed: int, settings: RunSettings
) -> Iterator[Plan]:
    """The plan of one run, whose engine is closed at the end.

    Raises:
        LampbenchError: an option is invalid, or the settings are those of several runs.
    """
    known = of_one_run(settings, method=method, task=task, model=model, seed=seed)
    (found,) = plan([method], [task], models=[model], seeds=[seed], **known)
    with closing([found]):
        yield found


def _require_values(chosen: RunOptions, axes: Mapping[str, Sequence[Any]]) -> None:
    """Refuse a call that names nothing to run.

    Raises:
        LampbenchError: a list of methods, tasks, models or seeds, or an axis of a grid, is empty.
    """
    lists = ("methods", "tasks", "models", "seeds")
    for name, values in {**{name: getattr(chosen, name) for name in lists}, **axes}.items():
        if not values:
            raise LampbenchError(f"{name}=[]: there is nothing to run; give at least one value")


def of_one_run(settings: RunSettings, **named: Any) -> dict[str, Any]:
    """Settings of one run; refuses several lengths of histories.

    `named` are the method, the task, the model and the seed.

    Raises:
        LampbenchError: there is not exactly one length, or there are lists, such as of seeds.
    """
    known = readable_again(settings)
    many = [(name, known[name]) for name in sorted({f"{one}s" for one in named} & known.keys())]
    many += [(one, each) for one, each in named.items() if isinstance(each, (list, tuple, set))]
    if many:
        name, value = many[0]
        raise LampbenchError(
            f"{name}={short_repr(value)}: this is for one run; give one {name.removesuffix('s')}, "
            "or call run_all"
        )
    if len(lengths := as_list(known.get("max_history"))) != 1:
        raise LampbenchError(
            f"max_history={lengths}: this is for one run; give one number or None, or call run_all"
        )
    return known


def engines_of(chosen: RunOptions) -> EnginePool:
    """The engines of a call, none of them started."""
    could_be_written(chosen.cache_dir, "--cache-dir")
    return engine_pool(chosen, new_progress())


def _carried_out(call: WorkerCall, chosen: ProcessChoices, command: str) -> Runs:
    processes = call.processes(chosen)
    todo = plan(call.methods, call.tasks, **call.places(), **call.settings)
    return execute_all(todo, call.results, command, force=call.force, processes=processes)


def as_written(function: str, call: WorkerCall) -> str:
    """A call as manifests record it."""
    axes = {} if call.grid is None else {"grid": call.grid}
    experiments = [call.experiments] if call.experiments else []
    places = (*experiments, call.methods, call.tasks, call.models, call.seeds)
    words = [repr([_name(one) for one in place]) for place in places]
    words += [f"{name}={value!r}" for name, value in {**axes, **call.settings}.items()]
    return f"lampbench.{function}({', '.join(words)})"


def _name(one: Any) -> Any:
    if isinstance(one, (str, int)):
        return one
    return (one if isinstance(one, type) else type(one)).__name__
