"""`lampbench examples`: answers of several methods to the same queries, side by side."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.example_record import example_record
from lampbench.cli.output import echo_json
from lampbench.cli.values import COUNT, OneOf
from lampbench.paper.cast import cast


@click.command(cls=Command)
@options.side_by_side(cast().examples)
@option(
    "--pick",
    type=OneOf(["drawn", "gain", "loss", "median"]),
    default="drawn",
    show_default=True,
    heading=options.SHOWN,
    help="drawn: at random, whatever the scores. gain, loss: where the last method gains or loses "
    "most. median: where its gain over the first is nearest to the median.",
)
@option(
    "--count",
    type=COUNT,
    default=3,
    show_default=True,
    metavar="N",
    heading=options.SHOWN,
    help="Number of queries.",
)
@options.results
@options.output_format
def examples(
    task: str | None,
    methods: tuple[str, ...],
    model: str | None,
    keys: tuple[str, ...],
    pick: Any,
    count: int,
    results: Path,
    form: str,
) -> None:
    """Print recorded answers of several methods to the same queries, as the paper's Figures 4 to 8.

    Words that an answer shares with what the user wrote are marked. The text is Markdown.
    """
    from lampbench.cli.recorded_runs import chosen_runs
    from lampbench.report.example_answers import answered_queries, examples_as_markdown
    from lampbench.report.markdown import escaped
    from lampbench.report.notes import data_notes

    board, together = chosen_runs(results, keys, task, methods, model)
    shown = []
    for each in together:
        setup, column, methods = each.setup, each.column, each.methods
        found = answered_queries(board, column, setup, methods, pick, count)
        if form == "json":
            shown.append({
                "model": setup.model, "preset": setup.preset, "data": setup.source,
                "fingerprint": column.fingerprint,
                "data_findings": board.findings(column),
                "model_notes": board.model_notes(setup),
                "examples": [example_record(each, methods) for each in found],
            })  # fmt: skip
            continue
        title = f"{board.column_title(column)}, {board.section_title(setup)}"
        for part in examples_as_markdown(found, title, pick):
            click.echo(part)
        for note in data_notes(board, [column], [setup]):
            click.echo(f"{escaped(note)}\n")
    if form == "json":
        echo_json({"task": together[0].column.task, "pick": pick, "datasets": shown})
