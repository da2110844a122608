"""Recorded runs as commands read them."""

from pathlib import Path

import click

from lampbench.record.runs import load_runs
from lampbench.report.contents import Recorded, arrange
from lampbench.util.errors import LampbenchError


def require(results: Path) -> None:
    """Refuse a folder that is not there.

    Raises:
        LampbenchError: there is no such folder.
    """
    if not results.is_dir():
        raise LampbenchError(f"{results}: no such folder; name the one of the runs with --results")


def recorded(results: Path) -> Recorded:
    """The runs of a folder in their places; folders that are no sound runs are named on stderr.

    Raises:
        LampbenchError: there is no such folder.
    """
    require(results)
    runs, problems = load_runs(results)
    for problem in problems:
        click.echo(str(problem), err=True)
    return arrange(runs)
