"""`lampbench sweep`: a grid of hyper-parameter values."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from lampbench.cli import options


@click.command()
@options.combinations
@click.option(
    "--param",
    "params",
    multiple=True,
    required=True,
    metavar="SECTION.NAME=V1,V2,...",
    help="Values of a hyper-parameter, as in decoding.alpha=0,0.1,0.3; may be repeated: a grid.",
)
@options.dataset
@options.hyper
@options.machine
@options.results
@options.cache_dir
@options.plugins
@options.dry_run
def sweep(results: Path, dry_run: bool, params: tuple[str, ...], **choices: Any) -> None:
    """Run every point of a grid of hyper-parameters and record it.

    Points share every artifact that does not depend on the values swept, with each other and with
    earlier runs; a point at the default values is the default run itself. A sweep that was stopped
    goes on where it ended when the same command is given again.
    """
    from lampbench.execution.options import RunOptions, engine_pool, grid_plans
    from lampbench.study.sweep import grid, print_points
    from lampbench.util.disk import writable
    from lampbench.util.progress import Progress

    points = grid(params)
    writable(choices["cache_dir"], "--cache-dir")
    if not dry_run:
        writable(results, "--results")
    chosen = RunOptions(**choices)
    todo = grid_plans(chosen, points, results, engine_pool(chosen, Progress()))
    if dry_run:
        from lampbench.study.estimate import print_totals

        print_totals({"the grid": [plan for _, plan in todo]}, None)
        return
    from lampbench.execution.runner import execute

    command = shlex.join(["lampbench", *sys.argv[1:]])
    print_points([(point, execute(plan, command, results)) for point, plan in todo])
