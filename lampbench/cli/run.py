"""`lampbench run`: methods x tasks x models x seeds."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from lampbench.cli import options


@click.command()
@options.combinations
@options.dataset
@options.hyper
@options.machine
@options.results
@options.cache_dir
@options.plugins
@click.option("--force", is_flag=True, help="Predict and record again what is recorded already.")
@options.dry_run
def run(results: Path, force: bool, dry_run: bool, **choices: Any) -> None:
    """Run methods on tasks and record the runs.

    Whatever is recorded or stored already is not computed again; a run that was stopped goes on
    where it ended when the same command is given again.
    """  # fmt: skip
    from lampbench.execution.options import RunOptions, plans
    from lampbench.util.disk import writable
    from lampbench.util.progress import Progress

    progress = Progress()
    command = shlex.join(["lampbench", *sys.argv[1:]])
    writable(choices["cache_dir"], "--cache-dir")
    if not dry_run:
        writable(results, "--results")
    todo = plans(RunOptions(**choices), results, progress)
    if dry_run:
        from lampbench.study.estimate import print_plan

        for plan in todo:
            print_plan(plan)
        return
    from lampbench.execution.runner import execute
    from lampbench.report.run_summary import print_summary

    print_summary([execute(plan, command, results, force) for plan in todo])
