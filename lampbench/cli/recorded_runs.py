"""Recorded runs as commands read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.util.errors import LampbenchError, suggestion

if TYPE_CHECKING:
    from lampbench.record.recorded_run import UnreadableRun
    from lampbench.report.board import Board
    from lampbench.report.contents import Recorded
    from lampbench.report.given_runs import ShownTogether

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


def chosen_runs(
    results: Path,
    keys: Sequence[str],
    task: str | None,
    methods: Sequence[str],
    model: str | None,
) -> tuple["Board", list["ShownTogether"]]:
    """What is shown side by side: the runs with these keys, or else methods on a task's data.

    Data that one of the methods has not answered is left out and named on standard error.

    Raises:
        LampbenchError: there are no such runs; names those that are recorded but not shown.
    """
    from lampbench.report.find_runs import find_columns
    from lampbench.report.given_runs import ShownTogether, given_runs, recorded_but_not_shown
    from lampbench.report.metric_format import MAIN_METRIC

    if keys:
        return given_runs(results, keys)
    if task is None:
        raise LampbenchError("name a task with --task, or runs with --run")
    found = recorded(results)
    board = found.board
    try:
        places = find_columns(board, results, task, model)
    except LampbenchError as error:
        others = recorded_but_not_shown(found, task, methods, [])
        raise LampbenchError(f"{error}{others}") from error
    missing = {
        place: [method for method in methods if not board.cell(*place, method, MAIN_METRIC)]
        for place in places
    }
    complete = [place for place in places if not missing[place]]
    if not complete:
        lacking = min(filter(None, missing.values()), key=len)
        others = recorded_but_not_shown(found, task, lacking, complete)
        hint = "" if others else f" ({_instead_of(lacking[0], board.methods())})"
        raise LampbenchError(
            f"{results} has no run of {', '.join(lacking)} with default settings on data of {task} "
            f"that the other methods answered: run it, or name other methods with --method{hint}"
            f"{others}"
        )
    for (setup, column), lacking in missing.items():
        if lacking:
            where = f"{board.column_title(column)}, {board.section_title(setup)}"
            click.echo(f"left out: {where}: no run of {', '.join(lacking)}", err=True)
    return board, [ShownTogether(*place, tuple(methods)) for place in complete]


def _instead_of(method: str, there: Sequence[str]) -> str:
    """The nearest name for one that no method has; for a method without runs, those with some."""
    from lampbench.registry import Registry, plugin_paths

    if method in Registry(plugin_paths(())).names("method"):
        return f"there are runs of {', '.join(sorted(there))}"
    return suggestion(method, there)


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
