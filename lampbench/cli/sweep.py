"""`lampbench sweep`: a grid of hyper-parameter values."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli import worker_options as workers
from lampbench.cli.command import Command, command_line, option
from lampbench.cli.names import Assignment
from lampbench.cli.output import echo_json
from lampbench.cli.plan_record import plan_record
from lampbench.cli.recorded_runs import require_sound
from lampbench.cli.run_record import run_record

if TYPE_CHECKING:
    from lampbench.record.recorded_run import Run


@click.command(cls=Command)
@options.combinations
@options.datasets
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
@workers.recording
def sweep(
    results: Path,
    force: bool,
    dry_run: bool,
    max_hours: float | None,
    form: str,
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

    processes = workers.taken_from(choices, results)
    grid = read_grid(params)
    todo = api.plan(grid=grid, results=results, **choices)
    if dry_run:
        from lampbench.study.disk_space import require_disk_space
        from lampbench.study.estimate import print_totals

        if form == "json":
            echo_json({"grid": grid, "plans": [plan_record(plan) for plan in todo]})
        else:
            print_totals({"the grid": todo}, None)
        require_disk_space(todo)
        return
    with limited(max_hours):
        found = api.execute_all(todo, results, command_line(), force=force, processes=processes)
    if form == "json":
        echo_json({"grid": grid, "runs": [_point_record(run, grid) for run in found]})
    else:
        print_points(found, grid)
    require_sound(found.problems)


def _point_record(run: "Run", grid: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run and its values of the hyper-parameters swept; None where it has none."""
    settings = run.manifest.hyperparameters
    values = {path: settings[path].value if path in settings else None for path in grid}
    return {**run_record(run), "point": values}
