"""Recorded runs as commands read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    from lampbench.record.runs import UnreadableRun
    from lampbench.report.contents import Recorded

_NAMED = 10
"""Folders that are named; of a whole study in an old format there are hundreds."""


def require(results: Path) -> None:
    """Refuse a results folder that does not exist.

    Raises:
        LampbenchError: there is no such folder.
    """
    if not results.is_dir():
        raise LampbenchError(
            f"{results}: no such folder; name the folder of recorded runs with --results"
        )


def recorded(results: Path) -> "Recorded":
    """The runs of a folder, arranged for tables; unsound runs are named on standard error.

    Raises:
        LampbenchError: there is no such folder.
    """
    from lampbench.record.runs import load_runs
    from lampbench.report.contents import arrange

    require(results)
    runs, problems = load_runs(results)
    echo_left_out(problems)
    return arrange(runs)


def echo_left_out(problems: Sequence["UnreadableRun"]) -> None:
    """Name folders that are not sound runs on standard error, the first of them with the reason."""
    for problem in problems[:_NAMED]:
        click.echo(str(problem), err=True)
    if len(problems) > _NAMED:
        click.echo(
            f"{len(problems) - _NAMED} more folders are left out; `lampbench list runs --format "
            "json` lists them",
            err=True,
        )
