"""`lampbench run`: methods x tasks x models x seeds."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli import worker_options as workers
from lampbench.cli.command import Command, command_line
from lampbench.cli.output import echo_json
from lampbench.cli.plan_record import plan_record
from lampbench.cli.recorded_runs import require_sound
from lampbench.cli.run_record import run_record


@click.command(cls=Command)
@options.combinations
@options.datasets
@options.machine
@workers.recording
def run(
    results: Path,
    force: bool,
    dry_run: bool,
    max_hours: float | None,
    form: str,
    **choices: Any,
) -> None:
    """Run methods on tasks and record the runs.

    Nothing that is already recorded or cached is computed again. To resume an interrupted run,
    give the same command again.
    """  # fmt: skip
    from lampbench import api
    from lampbench.util.interrupt import limited

    processes = workers.taken_from(choices, results)
    todo = api.plan(results=results, **choices)
    if dry_run:
        from lampbench.study.disk_space import require_disk_space
        from lampbench.study.estimate import print_plan

        if form == "json":
            echo_json({"plans": [plan_record(plan) for plan in todo]})
        else:
            for plan in todo:
                print_plan(plan)
        require_disk_space(todo)
        return
    with limited(max_hours):
        found = api.execute_all(todo, results, command_line(), force=force, processes=processes)
    if form == "json":
        echo_json({"runs": [run_record(each) for each in found]})
    elif found:
        from lampbench.report.run_summary import print_summary

        print_summary([each.path for each in found])
    require_sound(found.problems)
