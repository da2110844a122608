"""`lampbench sweep`: a grid of hyper-parameter values."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, command_line, option
from lampbench.cli.names import Assignment
from lampbench.cli.recorded_runs import require_sound


@click.command(cls=Command)
@options.combinations
@options.dataset
@options.machine
@option(
    "--param",
    "params",
    multiple=True,
    required=True,
    metavar="SECTION.NAME=V1,V2,...",
    heading=options.HYPER,
    type=Assignment(),
    help="Values of one hyper-parameter, for example decoding.alpha=0,0.1,0.3; repeatable: the "
    "grid is every combination.",
)
@options.hyper
@options.results
@options.cache_dir
@options.private
@options.rewards
@options.dry_run
@options.max_hours
def sweep(
    results: Path,
    dry_run: bool,
    max_hours: float | None,
    params: tuple[str, ...],
    **choices: Any,
) -> None:
    """Run every point of a grid of hyper-parameters and record it.

    Points share every cached result that does not depend on the values swept, with each other and
    with earlier runs. A point at the default values is the default run itself. To resume an
    interrupted sweep, give the same command again.
    """
    from lampbench import api
    from lampbench.study.sweep import print_points, read_grid
    from lampbench.util.interrupt import limited

    grid = read_grid(params)
    todo = api.plan(grid=grid, results=results, **choices)
    if dry_run:
        from lampbench.study.estimate import print_totals

        print_totals({"the grid": todo}, None)
        return
    with limited(max_hours):
        found = api.execute_all(todo, results, command_line())
    print_points(found, grid)
    require_sound(found.problems)
