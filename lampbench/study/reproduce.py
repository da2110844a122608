"""The paper's experiments as plans; which runs a table needs follows from its printed cells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lampbench.engine.pool import EnginePool
from lampbench.paper.published import paper
from lampbench.registry import Registry, plugin_paths
from lampbench.run.options import GridPoint, RunOptions, grid_plans
from lampbench.run.plan import Plan
from lampbench.study.sweep import grid
from lampbench.util.errors import LampbenchError

MAIN_METHODS = ("base", "rag", "pag", "tam", "oppu", "cope")
BASES = ("cope", "cope_init", "cope_oppu")
"""The base models of Figure 3a: TAM, init, OPPU."""
GRIDS = ("decoding.alpha=0,0.1,0.3,0.5,0.7", "user_dpo.beta=0.1,0.3,1.0,3.0")
"""Figures 3b and 3c, whose axes are not in the paper's text: values that span what it names."""
SENSITIVITY_TASK = "news_headline"


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
        for source, some in _by_source(here, sources).items():
            each = replace(here, data=source, tasks=some)
            for _, plan in grid_plans(each, points, results, pool):
                found.setdefault(plan.folder, plan)
    return list(found.values())


def _parts(
    wanted: str, models: Sequence[str]
) -> Iterator[tuple[Sequence[str], Sequence[str], Sequence[str], list[GridPoint]]]:
    """Methods, tasks, models and points that are combined with each other."""
    tasks = tuple(paper().tasks)
    first, *others = models or paper().models
    if wanted == "main":
        yield MAIN_METHODS, tasks, [first], [{}]
    elif wanted == "cross-model":
        yield MAIN_METHODS, tasks, others, [{}]
    elif wanted == "ablation":
        scores = [score for score in paper().scores if score.table == 3]
        methods = list(dict.fromkeys(score.method for score in scores))
        yield methods, list(dict.fromkeys(score.task for score in scores)), [first], [{}]
    else:
        yield BASES, [SENSITIVITY_TASK], [first], [{}]
        for axis in GRIDS:
            yield ["cope"], [SENSITIVITY_TASK], [first], grid([axis])


def _by_source(choices: RunOptions, sources: Mapping[str, str]) -> dict[str, list[str]]:
    """The tasks of each source of data."""
    registry = Registry(plugin_paths(choices.plugins))
    found: dict[str, list[str]] = {}
    for name in choices.tasks:
        task = registry.task(name)
        family = task.family
        if family not in sources:
            raise LampbenchError(
                f"task {task.name} needs the data of {family}: name the source with --{family} "
                "(--data names one source for all tasks)"
            )
        found.setdefault(sources[family], []).append(task.name)
    return found
