"""From the user's options to plans: every combination, checked before anything is computed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Dataset
from lampbench.core.fidelity import FIDELITIES
from lampbench.core.task import Task
from lampbench.data import DataOptions, load_dataset
from lampbench.data.options import SplitBy
from lampbench.engine.engine_argument import engine_arguments
from lampbench.engine.engine_plugin import EnginePlugin
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments
from lampbench.engine.pool import DEFAULT_ENGINE, EngineOptions, EnginePool
from lampbench.execution.cache import Cache
from lampbench.execution.engine_plugins import EnginePlugins
from lampbench.execution.executor import Executor
from lampbench.execution.keys import KnownKeys
from lampbench.execution.plan import Plan, make_plan
from lampbench.execution.specification import RunSpecification
from lampbench.execution.stage_engines import engine_of, require_known_stages
from lampbench.paper.presets import default_preset, defaults
from lampbench.plugin.hyperparameter import (
    Setting,
    SourcedValue,
    ValueSources,
    parse_set,
    read_config,
    reject_unknown,
)
from lampbench.plugin.method import Method
from lampbench.registry import Registry, plugin_paths
from lampbench.util.errors import LampbenchError, NoDataForTask, short_repr
from lampbench.util.progress import Progress

GridPoint = dict[str, SourcedValue]
"""Values of hyper-parameters at one point of a grid, by path."""

RUINOUS = 2.0
"""A repetition penalty that ruins output when applied to raw logits (common values: 1.0 to 1.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What to run and how.

    Methods and tasks are names ("all": every method, every task with data), classes or instances.
    Hyper-parameters come, strongest first, from `hyperparameters` (path -> value), `assignments`
    ("decoding.alpha=0.5") and the file `config`.
    """

    methods: Sequence[str | type[Method] | Method]
    tasks: Sequence[str | type[Task] | Task]
    models: Sequence[str] = ("bundled",)
    seeds: Sequence[int] = (0,)
    data: str = "bundled"
    users: int | None = None
    min_history: int = 1
    max_history: Sequence[int | None] = (None,)
    split_by: SplitBy | None = None
    splits: tuple[str, ...] = ()
    data_seed: int = 0
    preset: str | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    assignments: Sequence[str] = ()
    config: Path | None = None
    fidelity: str = "paper"
    chat_template: str | None = None
    device: str | None = None
    dtype: str | None = None
    model_arguments: ModelArguments = NOTHING_GIVEN
    batch_size: int | None = None
    engine: str | type[EnginePlugin] | EnginePlugin = DEFAULT_ENGINE
    stage_engines: Mapping[str, str] = field(default_factory=dict)
    engine_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cache_dir: Path
    plugins: Sequence[str] = ()
    rewards: bool = False
    private: bool = False


def read_overrides(config: Path | None, assignments: Sequence[str]) -> dict[str, SourcedValue]:
    """Hyper-parameters of a configuration file and, stronger, of --set.

    Raises:
        LampbenchError: as `read_config` and `parse_set`, or --set gives one of them two values.
    """
    given = read_config(config) if config else {}
    told: dict[str, SourcedValue] = {}
    for path, value in map(parse_set, assignments):
        if told.setdefault(path, value) != value:
            raise LampbenchError(
                f"--set {path} is given twice, with {short_repr(told[path].value)} and "
                f"{short_repr(value.value)}; give it once"
            )
    return given | told


def resolve_method(
    method: Method, task: Task, preset: str, given: dict[str, SourcedValue]
) -> tuple[Method, dict[str, Setting]]:
    """A method with its hyper-parameters for a task."""
    return method.resolved(ValueSources(given, defaults(preset, task)))


def engine_pool(choices: RunOptions, progress: Progress) -> EnginePool:
    """The engines for the plans of some options; plans that share a pool share loaded models.

    Raises:
        LampbenchError: an engine that is named does not exist or is broken, an argument of it is
            not valid, or there is no device of that name.
    """
    registry = Registry(plugin_paths(choices.plugins))
    answering = registry.engine(choices.engine)
    plugins = EnginePlugins(registry, answering)
    options = EngineOptions(
        device=choices.device,
        dtype=choices.dtype,
        chat_template=choices.chat_template,
        batch_size=choices.batch_size,
        engine=answering.name,
        arguments=choices.model_arguments,
        stages=choices.stage_engines,
        engine_arguments=choices.engine_arguments,
    )
    for name in (*options.engines, *options.engine_arguments):
        engine_arguments(name, plugins.get(name).arguments, options.engine_arguments.get(name, {}))
    cache = Cache(choices.cache_dir, progress.say)
    fidelity = FIDELITIES[choices.fidelity]
    return EnginePool(
        options, fidelity, cache, progress, plugins.get, plugins.able, plugins.foreign_code
    )


def grid_plans(
    choices: RunOptions,
    points: Sequence[GridPoint],
    results: Path,
    pool: EnginePool,
    load: Callable[[Task, str, DataOptions], Dataset] = load_dataset,
) -> list[tuple[GridPoint, Plan]]:
    """A plan for every combination of model, task, seed and method, at every point of a grid.

    They are in this order, for each length of histories in turn. Where a point or a length changes
    nothing for a method, that method is in the list once. `load` reads a task's data. If `all`
    tasks are asked for, those without data are left out, and one message names them.

    Raises:
        LampbenchError: an option is invalid; nothing has been computed.
    """
    registry = Registry(plugin_paths(choices.plugins))
    methods = [registry.method(name) for name in _named(choices.methods, registry, "method")]
    tasks = [registry.task(name) for name in _named(choices.tasks, registry, "task")]
    for task in tasks:
        for name in task.metrics:
            registry.metric(name)
    everywhere = read_overrides(choices.config, choices.assignments) | {
        path: SourcedValue(value, "hyperparameters")
        for path, value in choices.hyperparameters.items()
    }
    given = [everywhere | point for point in points]
    for overrides in given:
        reject_unknown(overrides, _known_paths(methods, tasks, overrides))
    require_known_stages(tuple(choices.stage_engines), methods)
    datasets = _load_all(choices, tasks, pool.progress, load)
    tasks = [task for task in tasks if any(name == task.name for name, _ in datasets)]
    cache = Cache(choices.cache_dir, pool.progress.say)
    found: dict[Path, tuple[GridPoint, Plan]] = {}
    for model in dict.fromkeys(choices.models):
        for task, most in product(tasks, dict.fromkeys(choices.max_history)):
            for seed in dict.fromkeys(choices.seeds):
                known: KnownKeys = {}
                for method in methods:
                    for point, here in zip(points, given, strict=True):
                        plan = _plan(
                            choices, method, task, datasets[task.name, most], model, seed, pool,
                            here, results, cache, known, registry,
                        )  # fmt: skip
                        found.setdefault(plan.folder, (point, plan))
    return list(found.values())


def _load_all(
    choices: RunOptions,
    tasks: Sequence[Task],
    progress: Progress,
    load: Callable[[Task, str, DataOptions], Dataset],
) -> dict[tuple[str, int | None], Dataset]:
    """The data by task and length of histories, of the tasks that have some.

    Raises:
        LampbenchError: data is malformed, a task that was named has none, or no task has any.
    """
    explicit = {name if isinstance(name, str) else name.name for name in choices.tasks}
    found: dict[tuple[str, int | None], Dataset] = {}
    without: list[str] = []
    for task in tasks:
        try:
            for most in dict.fromkeys(choices.max_history):
                found[task.name, most] = load(task, choices.data, _data_options(choices, most))
        except NoDataForTask:
            if "all" not in explicit or task.name in explicit:
                raise
            without.append(task.name)
    if without and not found:
        raise LampbenchError(f"--data {choices.data}: has data of no task; give another source")
    if without:
        progress.say(f"--task all: left out, without data in {choices.data}: {', '.join(without)}")
    return found


def _data_options(choices: RunOptions, most: int | None) -> DataOptions:
    return DataOptions(
        choices.users,
        choices.min_history,
        choices.data_seed,
        choices.split_by,
        choices.splits,
        most,
    )


def _plan(
    choices: RunOptions,
    method: Method,
    task: Task,
    dataset: Dataset,
    model: str,
    seed: int,
    pool: EnginePool,
    given: dict[str, SourcedValue],
    results: Path,
    cache: Cache,
    known: KnownKeys,
    registry: Registry,
) -> Plan:
    fidelity = FIDELITIES[choices.fidelity]
    preset = choices.preset or default_preset(
        pool.model(model, engine_of(pool.options, None)), fidelity.name
    )
    ready, settings = resolve_method(method, task, preset, given)
    spec = RunSpecification(
        ready, task, dataset, model, fidelity, seed, choices.rewards, choices.private,
        tuple(plugin_paths(choices.plugins)),
    )  # fmt: skip
    executor = Executor(spec, cache, pool, pool.progress, known, registry)
    decoding = ready.decoding
    if decoding.penalty_on == "logits" and decoding.repetition_penalty >= RUINOUS:
        pool.progress.say(
            f"warning: {method.name} on {task.name}: a repetition penalty of "
            f"{decoding.repetition_penalty} on raw logits ruins the output; "
            "--set decoding.penalty_on=scores applies it where the reference code does"
        )
    overridden = {path: setting for path, setting in settings.items() if setting.changed}
    return make_plan(executor, settings, overridden, preset, results)


def _named(names: Sequence[Any], registry: Registry, kind: Any) -> Iterator[Any]:
    """What to run, without repetition; `all` stands for every one there is."""
    every = registry.names(kind) if "all" in names else []
    yield from dict.fromkeys(
        name for given in names for name in (every if given == "all" else [given])
    )


def _known_paths(
    methods: list[Method], tasks: list[Task], given: dict[str, SourcedValue]
) -> set[str]:
    known: set[str] = set()
    for method in methods:
        for task in tasks:
            known |= resolve_method(method, task, "paper", given)[1].keys()
    return known
