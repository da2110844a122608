"""`lampbench reproduce paper`: the paper's experiments, what they cost, and any part of them."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from lampbench.cli import options

SLICES = ("main", "cross-model", "ablation", "sensitivity")


@click.command()
@click.argument("what", type=click.Choice(["paper"]))
@click.option(
    "--experiment",
    "slices",
    multiple=True,
    type=click.Choice(SLICES),
    help="Part of the paper: Table 1, Tables 2 and 5 to 7, Table 3, Figure 3; may be "
    "repeated. [default: all]",
)
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", help="Only this method; may be repeated."
)
@click.option(
    "--task", "tasks", multiple=True, metavar="NAME", help="Only this task; may be repeated."
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="MODEL",
    help="Models in the place of the paper's four, the main one first.",
)
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=int,
    default=(0,),
    show_default=True,
    help="Seed of all random choices; may be repeated.",
)
@click.option("--lamp", metavar="SOURCE", help="Data of the LaMP tasks: lamp:DIR or oppu:DIR.")
@click.option(
    "--longlamp",
    metavar="SOURCE",
    default="longlamp",
    show_default=True,
    help="Data of the LongLaMP tasks.",
)
@options.dataset
@options.hyper
@options.machine
@click.option(
    "--speed",
    metavar="READ,TRAINED,WRITTEN",
    help="Tokens a second of your machine, for an estimate in hours (the scripts in "
    "benchmarks/ measure them).",
)
@options.results
@options.cache_dir
@options.plugins
@click.option("--run", "go", is_flag=True, help="Run what is not recorded yet.")
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
    """Plan the paper's experiments and print what they will cost; run them with --run.

    6 methods x 5 tasks x 4 models, the ablation, and the sensitivity to base model, alpha and beta.
    --data SOURCE takes one source for all tasks, as in
    `lampbench reproduce paper --data bundled --model bundled`.
    """  # fmt: skip
    from lampbench.execution.options import RunOptions, engine_pool
    from lampbench.study.estimate import print_totals
    from lampbench.study.reproduce import slice_plans
    from lampbench.util.disk import writable
    from lampbench.util.progress import Progress

    speeds = _speeds(speed) if speed else None
    writable(choices["cache_dir"], "--cache-dir")
    sources = {"longlamp": longlamp, **({"lamp": lamp} if lamp else {})}
    given = click.get_current_context().get_parameter_source("data")
    if given is not click.core.ParameterSource.DEFAULT:
        sources = dict.fromkeys(("lamp", "longlamp"), data)
    chosen = RunOptions(**choices)
    pool = engine_pool(chosen, Progress())
    groups = {
        name: slice_plans(name, chosen, sources, results, pool)
        for name in SLICES
        if name in (slices or SLICES)
    }
    print_totals(groups, speeds)
    if not go:
        click.echo(
            "\nNothing was run: --run does it; --experiment, --method and --task narrow it down."
        )
        return
    from lampbench.execution.runner import execute

    writable(results, "--results")
    command = shlex.join(["lampbench", *sys.argv[1:]])
    plans = {plan.folder: plan for group in groups.values() for plan in group}
    for plan in plans.values():
        execute(plan, command, results)
    click.echo(f"\n{len(plans)} runs are recorded in {results}: `lampbench leaderboard` shows them")


def _speeds(text: str) -> list[float]:
    from lampbench.util.errors import LampbenchError

    try:
        speeds = [float(part) for part in text.split(",")]
    except ValueError:
        speeds = []
    if len(speeds) != 3 or not all(speed > 0 for speed in speeds):
        raise LampbenchError(
            f"--speed {text}: write three positive numbers, as in 40000,12000,9000"
        )
    return speeds
