"""The paper's experiments as plans: which methods run on which tasks, models and settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lampbench.engine.pool import EnginePool
from lampbench.execution.options import GridPoint, RunOptions, grid_plans
from lampbench.execution.plan import Plan
from lampbench.paper.cast import cast
from lampbench.paper.published import paper
from lampbench.registry import Registry, plugin_paths
from lampbench.study.sweep import grid_points, read_grid
from lampbench.util.errors import LampbenchError, suggestion

_FAMILIES = {"lamp": "LaMP", "longlamp": "LongLaMP"}


def slice_plans(
    wanted: str, choices: RunOptions, sources: Mapping[str, str], results: Path, pool: EnginePool
) -> list[Plan]:
    """The runs of one experiment of the paper: main, cross-model, ablation or sensitivity.

    `choices.methods`, `tasks` and `models` narrow it down where they are not empty; `sources` are
    the data of each family of tasks ("lamp", "longlamp"). Models default to the paper's.

    Raises:
        LampbenchError: an option is invalid; nothing has been computed.
    """
    found: dict[Path, Plan] = {}
    for methods, tasks, models, points in _parts(wanted, choices.models):
        here = replace(
            choices,
            methods=[name for name in methods if name in (choices.methods or methods)],
            tasks=[name for name in tasks if name in (choices.tasks or tasks)],
            models=models,
        )
        if not here.methods or not here.tasks:
            continue
        for source, some in _by_source(here, sources).items():
            each = replace(here, data=source, tasks=some)
            for _, plan in grid_plans(each, points, results, pool):
                found.setdefault(plan.folder, plan)
    return list(found.values())


def require_part_of(
    experiments: Sequence[str], methods: Sequence[str], tasks: Sequence[str]
) -> None:
    """Refuse methods or tasks of which some experiments of the paper run none.

    Raises:
        LampbenchError: a method or task is in none of them, or no method is with any task.
    """
    parts = [part[:2] for name in experiments for part in _parts(name, ())]
    named = " or ".join(experiments)
    for kind, given, place in (("method", methods, 0), ("task", tasks, 1)):
        known = {name for part in parts for name in part[place]}
        for one in given:
            if one not in known:
                raise LampbenchError(
                    f"--{kind} {one}: is no {kind} of the experiment {named}: "
                    f"{suggestion(str(one), known)}"
                )
    pairs = {(method, task) for some, others in parts for method in some for task in others}
    if not any(m in (methods or {m}) and t in (tasks or {t}) for m, t in pairs):
        raise LampbenchError(
            f"the experiment {named} runs none of the methods {', '.join(methods)} on any of the "
            f"tasks {', '.join(tasks)}; leave out --method or --task"
        )


def _parts(
    wanted: str, models: Sequence[str]
) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[str], list[GridPoint]]]:
    """Methods, tasks, models and points that are combined with each other."""
    tasks = tuple(paper().tasks)
    first, *others = models or paper().models
    if wanted == "main":
        yield cast().main, tasks, [first], [{}]
    elif wanted == "cross-model":
        yield cast().main, tasks, others, [{}]
    elif wanted == "ablation":
        scores = [score for score in paper().scores if score.table == 3]
        methods = [row.method for row in cast().ablation]
        yield methods, list(dict.fromkeys(score.task for score in scores)), [first], [{}]
    else:
        varied = cast().sensitivity
        yield varied.base_models, [varied.task], [first], [{}]
        for axis in varied.parameters:
            yield [varied.method], [varied.task], [first], grid_points(read_grid([axis]))


def _by_source(choices: RunOptions, sources: Mapping[str, str]) -> dict[str, list[str]]:
    """The tasks of each source of data."""
    registry = Registry(plugin_paths(choices.plugins))
    found: dict[str, list[str]] = {}
    for name in choices.tasks:
        task = registry.task(name)
        family = task.family
        if family not in sources:
            raise LampbenchError(
                f"task {task.name} needs {_FAMILIES[family]} data: name the source with --{family} "
                "(--data names one source for all tasks)"
            )
        found.setdefault(sources[family], []).append(task.name)
    return found
