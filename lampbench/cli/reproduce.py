"""`lampbench reproduce paper`: the paper's experiments, or some of them."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli import worker_options as workers
from lampbench.cli.command import Command, argument, command_line, option
from lampbench.cli.names import ModelName, PluginName
from lampbench.cli.recorded_runs import require_sound
from lampbench.cli.values import SEED, OneOf

SLICES = ("main", "cross-model", "ablation", "sensitivity")
_FASTEST = 1e12  # tokens per second


@click.command(cls=Command)
@argument("what", type=OneOf(["paper"]))
@option(
    "--experiment",
    "slices",
    multiple=True,
    type=OneOf(SLICES),
    heading=options.WHAT,
    help="main: Table 1. cross-model: Tables 2 and 5 to 7. ablation: Table 3. sensitivity: "
    "Figure 3. Repeatable.  [default: all]",
)
@option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME",
    heading=options.WHAT,
    type=PluginName("method"),
    help="Only this method; repeatable.",
)
@option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    heading=options.WHAT,
    type=PluginName("task"),
    help="Only this task; repeatable.",
)
@option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    heading=options.WHAT,
    type=ModelName(),
    help="Model to use instead, the main one first; repeatable.  [default: the paper's four]",
)
@option(
    "--seed",
    "seeds",
    multiple=True,
    type=SEED,
    default=(0,),
    show_default=True,
    metavar="N",
    heading=options.WHAT,
    help="Seed of everything random; repeatable.",
)
@options.plugins_to_run
@option(
    "--lamp",
    metavar="SOURCE",
    heading=options.DATA,
    help="Data of the LaMP tasks: lamp:DIR or oppu:DIR.",
)
@option(
    "--longlamp",
    metavar="SOURCE",
    default="longlamp",
    show_default=True,
    heading=options.DATA,
    help="Data of the LongLaMP tasks.",
)
@options.dataset
@options.machine
@options.hyper
@options.results
@options.cache_dir
@workers.options
@option(
    "--speed",
    metavar="READ,TRAINED,WRITTEN",
    heading=options.OUTPUT,
    help="Tokens per second that your machine reads, trains on and writes (the scripts in "
    "benchmarks/ measure them); adds hours to the plan.",
)
@options.private
@options.rewards
@option("--run", "go", is_flag=True, heading=options.OUTPUT, help="Run what is not recorded yet.")
def reproduce(
    what: str,
    slices: tuple[str, ...],
    lamp: str | None,
    longlamp: str,
    data: str,
    speed: str | None,
    results: Path,
    go: bool,
    **choices: Any,
) -> None:
    """Print the plan of the paper's experiments and its cost; with --run, run them.

    The experiments are 6 methods x 5 tasks x 4 models, the ablation, and the sensitivity to the
    base model, alpha and beta. --data takes one source for all tasks, for example:

    lampbench reproduce paper --data bundled --model bundled
    """  # fmt: skip
    from lampbench import api
    from lampbench.study.estimate import print_totals

    processes = workers.taken_from(choices, results)
    speeds = _speeds(speed) if speed else None
    given = click.get_current_context().get_parameter_source("data")
    if given is not click.core.ParameterSource.DEFAULT:
        choices["data"] = data
    chosen = [name for name in api.EXPERIMENTS if name in (slices or api.EXPERIMENTS)]
    groups = api.reproduce(chosen, lamp=lamp, longlamp=longlamp, results=results, **choices)
    print_totals(groups, speeds)
    if not go:
        click.echo(
            "\nNothing was run. Add --run to run this plan; --experiment, --method and --task "
            "narrow it down."
        )
        return
    plans = {plan.folder: plan for group in groups.values() for plan in group}
    found = api.execute_all(list(plans.values()), results, command_line(), processes=processes)
    require_sound(found.problems)
    table = "history" if choices["max_history"] else "main"
    click.echo(
        f"\n{len(found)} runs are recorded in {results}; `lampbench table {table}` shows them"
    )


def _speeds(text: str) -> list[float]:
    from lampbench.util.errors import LampbenchError

    try:
        speeds = [float(part) for part in text.split(",")]
    except ValueError:
        speeds = []
    if len(speeds) != 3 or not all(0 < speed <= _FASTEST for speed in speeds):
        raise LampbenchError(
            f"--speed {text}: give three numbers above 0 and up to {_FASTEST:,.0f}, for example "
            "40000,12000,9000"
        )
    return speeds
