"""`lampbench examples`: answers side by side."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import options
from lampbench.paper.cast import cast


@click.command()
@click.option("--task", required=True, metavar="NAME", help="Task whose queries are shown.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=cast().examples,
    show_default=True,
    metavar="NAME",
    help="Method to show; may be repeated.",
)
@click.option("--model", metavar="MODEL", help="Model of the runs, where there are several.")
@click.option(
    "--pick",
    type=click.Choice(["drawn", "gain", "loss", "median"]),
    default="drawn",
    show_default=True,
    help="Which queries: drawn without a look at scores, those where the last method gains or "
    "loses most, or those of its median gain over the first.",
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
    from lampbench.cli.loading import recorded
    from lampbench.report import examples as qualitative
    from lampbench.report.find_runs import find_columns

    board = recorded(results).board
    for setup, column in find_columns(board, results, task, model):
        found = qualitative.examples(board, results, column, setup, methods, pick, count)
        title = f"{board.column_title(column)}, {board.section_title(setup)}"
        for part in qualitative.render(found, title, pick):
            click.echo(part)
