"""`lampbench examples`: answers side by side."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import options


@click.command()
@click.option("--task", required=True, metavar="NAME", help="Task whose queries are shown.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=("tam", "oppu", "cope"),
    show_default=True,
    metavar="NAME",
    help="Method to show; may be repeated.",
)
@click.option("--model", metavar="MODEL", help="Model of the runs, where there are several.")
@click.option(
    "--pick",
    type=click.Choice(["drawn", "gain", "loss"]),
    default="drawn",
    show_default=True,
    help="Which queries: drawn without a look at scores, or those where the last method "
    "gains or loses most.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="How many queries.",
)
@options.results
def examples(
    task: str, methods: tuple[str, ...], model: str | None, pick: Any, count: int, results: Path
) -> None:
    """Print recorded answers of several methods to the same queries (the paper's Figures 4 to 8).

    Words that an answer shares with what the user wrote are marked.
    """  # fmt: skip
    from lampbench.errors import LampbenchError, suggestion
    from lampbench.report import qualitative
    from lampbench.report.sections import arrange
    from lampbench.runs import load_runs

    if not results.is_dir():
        raise LampbenchError(f"{results}: no such folder; name the one of the runs with --results")
    runs, problems = load_runs(results)
    for problem in problems:
        click.echo(str(problem), err=True)
    board = arrange(runs).board
    setups = [s for s in board.setups() if board.columns(s, task) and model in (None, s.model)]
    if not setups:
        known = sorted({column.task for column in board.columns()})
        hint = f"no run with model {model!r}" if task in known else suggestion(task, known)
        raise LampbenchError(f"{results} holds no run of task {task!r}: {hint}")
    for setup in setups:
        for column in board.columns(setup, task):
            found = qualitative.examples(
                board, results, column, setup, methods, pick, count
            )  # fmt: skip
            title = f"{board.column_title(column)}, {board.section_title(setup)}"
            for part in qualitative.render(found, title, pick):
                click.echo(part)
