"""The face for Python: what the command line does, it does through these functions.

Methods and tasks are names, or classes that may come from anywhere, such as a notebook cell.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from lampbench.core.task import Task
from lampbench.data.options import SplitBy
from lampbench.engine.pool import EnginePool
from lampbench.execution.options import RunOptions, engine_pool, grid_plans
from lampbench.execution.plan import Plan
from lampbench.execution.runner import execute
from lampbench.plugin.method import Method
from lampbench.record.runs import DamagedRun, Run, Runs, UnreadableRun, read_run, with_runs
from lampbench.util.disk import writable
from lampbench.util.progress import Progress

if TYPE_CHECKING:
    import pandas

    from lampbench.report.compare import Comparison
    from lampbench.report.contents import Recorded
    from lampbench.study.diagnose import Diagnosis

AnyMethod = str | type[Method] | Method
AnyTask = str | type[Task] | Task

RESULTS = Path("results")
CACHE_DIR = Path(".lampbench/cache")
LEADERBOARD = Path("leaderboard.md")
EXPERIMENTS = ("main", "cross-model", "ablation", "sensitivity")


class RunSettings(TypedDict, total=False):
    """How to run; every setting has the default of the command line.

    Attributes:
        data: source of the data: "bundled", "lamp:DIR", "oppu:DIR", "longlamp", "lampbench:DIR".
        users: number of test users, those with the longest histories first.
        min_history: records that a test user must have.
        split_by: "user" or "time", for LaMP and LongLaMP.
        splits: published splits to read: "train", "dev", "test".
        data_seed: orders users with equally long histories.
        preset: default hyper-parameters: "paper", "small" or "reference".
        hyperparameters: values by path, such as {"decoding.alpha": 0.5}.
        assignments: values as the command line writes them, "decoding.alpha=0.5".
        config: TOML file of hyper-parameters.
        fidelity: "paper", or "reference" for the choices of the paper's released code.
        chat_template: a template of the paper's appendix D instead of the tokenizer's own.
        device: "cpu", "cuda", "cuda:1", "mps".
        dtype: "float32", "bfloat16" or "float16".
        batch_size: most rows in one decoding step.
        engine: "batched" or "reference".
        private: record hashes, lengths and scores, but no text of users and none of the model.
        rewards: record the reward of every token that contrastive decoding chooses.
        cache_dir: folder of adapters, negatives and other artifacts.
        plugins: files or folders of plugins.
    """

    data: str
    users: int | None
    min_history: int
    split_by: SplitBy | None
    splits: Sequence[str]
    data_seed: int
    preset: str | None
    hyperparameters: Mapping[str, Any]
    assignments: Sequence[str]
    config: Path | None
    fidelity: str
    chat_template: str | None
    device: str | None
    dtype: str | None
    batch_size: int | None
    engine: str
    private: bool
    rewards: bool
    cache_dir: Path | str
    plugins: Sequence[str]


def run(
    method: AnyMethod,
    task: AnyTask,
    *,
    model: str = "bundled",
    seed: int = 0,
    results: Path | str = RESULTS,
    force: bool = False,
    **settings: Unpack[RunSettings],
) -> Run:
    """Run one method on one task and record the run; read it where it is recorded already.

    Args:
        method: a method's name, or a class.
        task: a task's name, or a class.
        model: a model preset, hub id or folder.
        seed: seed of all random choices.
        results: folder of recorded runs.
        force: predict and record again what is recorded already.
        settings: see `RunSettings`.

    Raises:
        LampbenchError: an option is invalid (nothing was computed then), or data or a model is.
    """
    found = run_all(
        [method], [task], models=[model], seeds=[seed], results=results, force=force, **settings
    )
    if found.problems:
        raise DamagedRun(found.problems[0])
    return found[0]


def run_all(
    methods: Sequence[AnyMethod],
    tasks: Sequence[AnyTask],
    *,
    models: Sequence[str] = ("bundled",),
    seeds: Sequence[int] = (0,),
    results: Path | str = RESULTS,
    force: bool = False,
    command: str = "",
    **settings: Unpack[RunSettings],
) -> Runs:
    """Run every combination of methods, tasks, models and seeds; "all" names every method or task.

    All options are checked before anything is computed. `command` is what manifests record as the
    command; by default this call. Other arguments and errors as for `run`.
    """
    todo = plan(methods, tasks, models=models, seeds=seeds, results=results, **settings)
    called = command or _call("run_all", methods, tasks, models, seeds, settings)
    return execute_all(todo, results, called, force=force)


def sweep(
    methods: Sequence[AnyMethod],
    tasks: Sequence[AnyTask],
    grid: Mapping[str, Sequence[Any]],
    *,
    models: Sequence[str] = ("bundled",),
    seeds: Sequence[int] = (0,),
    results: Path | str = RESULTS,
    command: str = "",
    **settings: Unpack[RunSettings],
) -> Runs:
    """Run every point of a grid of hyper-parameters, such as {"decoding.alpha": [0, 0.1, 0.3]}.

    Points share every artifact that does not depend on the values swept. Arguments and errors as
    for `run_all`.
    """
    todo = plan(methods, tasks, models=models, seeds=seeds, results=results, grid=grid, **settings)
    called = command or _call("sweep", methods, tasks, models, seeds, {"grid": grid, **settings})
    return execute_all(todo, results, called)


def plan(
    methods: Sequence[AnyMethod],
    tasks: Sequence[AnyTask],
    *,
    models: Sequence[str] = ("bundled",),
    seeds: Sequence[int] = (0,),
    results: Path | str = RESULTS,
    grid: Mapping[str, Sequence[Any]] | None = None,
    **settings: Unpack[RunSettings],
) -> list[Plan]:
    """What `run_all`, or with `grid` `sweep`, would do, and what of it has been made.

    Computes nothing. Arguments and errors as for `run_all`.
    """
    from lampbench.study.sweep import grid_points

    chosen = options(methods, tasks, models=models, seeds=seeds, **settings)
    pool = _engines(chosen)
    points = grid_points(grid or {}, source="grid")
    return [each for _, each in grid_plans(chosen, points, Path(results), pool)]


def options(
    methods: Sequence[AnyMethod],
    tasks: Sequence[AnyTask],
    *,
    models: Sequence[str] = ("bundled",),
    seeds: Sequence[int] = (0,),
    **settings: Unpack[RunSettings],
) -> RunOptions:
    """The options of a run as one frozen object, with the defaults of the command line."""
    known: dict[str, Any] = dict(settings)
    cache_dir = Path(known.pop("cache_dir", None) or CACHE_DIR)
    if "splits" in known:
        known["splits"] = tuple(known["splits"])
    return RunOptions(
        methods=methods, tasks=tasks, models=models, seeds=seeds, cache_dir=cache_dir, **known
    )


def execute_all(
    plans: Sequence[Plan], results: Path | str, command: str, *, force: bool = False
) -> Runs:
    """Carry out plans and read the recorded runs, in the order of the plans.

    A run that was recorded before and is damaged is not among them but in their `problems`.

    Raises:
        LampbenchError: a folder cannot be written, the disk is too small for the artifacts, or an
            input is bad; finished work is kept.
    """
    from lampbench.study.disk_space import require_disk_space

    writable(Path(results), "--results")
    require_disk_space(plans)
    found, problems = [], []
    for folder in [execute(each, command, Path(results), force) for each in plans]:
        try:
            found.append(read_run(folder))
        except DamagedRun as error:
            problems.append(error.problem)
    return Runs(found, problems)


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

    (found,) = plan([method], [task], models=[model], seeds=[seed], **settings)
    return diagnose_plan(found)


def runs(results: Path | str = RESULTS) -> Runs:
    """The sound recorded runs of a folder.

    A folder that is no sound run does not hide the others: it is in the `problems` of what is
    returned, and a `UserWarning` says what is wrong with it and what heals it.
    """
    found, problems = with_runs(Path(results), lambda runs: runs)
    _warn(problems)
    return Runs(found, problems)


def _arranged(results: Path) -> "Recorded":
    from lampbench.report.contents import arrange

    found, problems = with_runs(results, arrange)
    _warn(problems)
    return found


def _warn(problems: Sequence[UnreadableRun]) -> None:
    for problem in problems:
        warnings.warn(str(problem), stacklevel=3)


def table(
    name: str, *, results: Path | str = RESULTS, baseline: str | None = None
) -> "pandas.DataFrame":
    """A table of the recorded runs as a frame, one row per cell: mean, interval, users, seeds.

    Args:
        name: "main", "gains", "ablation", "cross-model", ...; `lampbench table --help` lists them.
        results: folder of recorded runs.
        baseline: with "gains", the method that all others are compared with.

    Raises:
        LampbenchError: there is no table of that name, or no such baseline.
    """
    import pandas

    from lampbench.report.contents import sections
    from lampbench.report.machine_readable import cells

    return pandas.DataFrame(cells(sections(_arranged(Path(results)), name, baseline)))


def leaderboard(results: Path | str = RESULTS, output: Path | str = LEADERBOARD) -> dict[Path, str]:
    """Write the leaderboard and every table in full; returns the text of each page by its path.

    The tables go to the folder `tables` inside `results`. The same runs give the same texts.

    Raises:
        LampbenchError: a page cannot be written.
    """
    from lampbench.report.leaderboard import TABLES_FOLDER, pages
    from lampbench.report.page_files import write_pages

    folder = Path(results) / TABLES_FOLDER
    made = pages(_arranged(Path(results)), Path(output), folder)
    write_pages(made, folder)
    return made


def compare(
    run_a: Run | str, run_b: Run | str, *, metric: str = "rougeL", results: Path | str = RESULTS
) -> "Comparison":
    """Two runs on the same queries: differences, tests, and what differs in how they were made.

    A run is a `Run`, a run's folder or the beginning of its key.

    Raises:
        LampbenchError: no such run, or the two answered different queries.
    """
    from lampbench.report.compare import compare_runs
    from lampbench.report.find_runs import find_run

    first, second = (
        one if isinstance(one, Run) else find_run(Path(results), one) for one in (run_a, run_b)
    )
    return compare_runs(first, second, metric)


def reproduce(
    experiments: Sequence[str] = EXPERIMENTS,
    *,
    models: Sequence[str] = (),
    methods: Sequence[str] = (),
    tasks: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    lamp: str | None = None,
    longlamp: str | None = "longlamp",
    results: Path | str = RESULTS,
    **settings: Unpack[RunSettings],
) -> dict[str, list[Plan]]:
    """The plans of the paper's experiments by name; `execute_all` carries them out.

    Args:
        experiments: of "main", "cross-model", "ablation", "sensitivity".
        models: models in place of the paper's four, the main one first.
        methods: only these; all of an experiment where empty.
        tasks: only these; all of an experiment where empty.
        seeds: seeds of all random choices.
        lamp: source of the LaMP tasks' data, such as "lamp:DIR".
        longlamp: source of the LongLaMP tasks' data.
        results: folder of recorded runs.
        settings: see `RunSettings`; `data` is one source for all tasks.

    Raises:
        LampbenchError: an option is invalid; nothing has been computed.
    """
    from lampbench.study.reproduce import slice_plans

    chosen = options(methods, tasks, models=models, seeds=seeds, **settings)
    by_family = {family: settings.get("data") or source
                 for family, source in (("lamp", lamp), ("longlamp", longlamp))}  # fmt: skip
    sources = {family: source for family, source in by_family.items() if source}
    pool = _engines(chosen)
    return {name: slice_plans(name, chosen, sources, Path(results), pool) for name in experiments}


def _engines(chosen: RunOptions) -> EnginePool:
    writable(chosen.cache_dir, "--cache-dir")  # planning remembers digests there
    return engine_pool(chosen, Progress())


def _call(function: str, *arguments: Any) -> str:
    *places, settings = arguments
    words = [repr([_name(one) for one in place]) for place in places]
    words += [f"{name}={value!r}" for name, value in settings.items()]
    return f"lampbench.{function}({', '.join(words)})"


def _name(one: Any) -> Any:
    if isinstance(one, (str, int)):
        return one
    return (one if isinstance(one, type) else type(one)).__name__
