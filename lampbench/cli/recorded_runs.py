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
    from lampbench.record.runs import with_runs
    from lampbench.report.contents import arrange

    require(results)
    found, problems = with_runs(results, arrange)
    echo_left_out(problems)
    return found


def require_sound(problems: Sequence["UnreadableRun"]) -> None:
    """Refuse to end well where some of the runs that a command asked for are damaged.

    Raises:
        LampbenchError: names the first, what is wrong with it and what heals it.
    """
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise LampbenchError(f"{problems[0]}{more}")


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
