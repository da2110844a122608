"""`lampbench report`: one HTML page of recorded runs."""

from pathlib import Path

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.recorded_runs import echo_left_out, require
from lampbench.cli.values import COUNT
from lampbench.util.atomic import replace


@click.command(cls=Command)
@options.results
@option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    metavar="FILE",
    heading=options.OUTPUT,
    help="File to write.",
)
@option(
    "--examples",
    type=COUNT,
    default=12,
    show_default=True,
    metavar="N",
    heading=options.OUTPUT,
    help="Number of example queries per task.",
)
def report(results: Path, output: Path, examples: int) -> None:
    """Write an HTML page that shows all recorded runs.

    A second file beside it, NAME-comparisons.html, has two methods of your choice side by side,
    over all queries in order of their difference. Both need no server and no network. Folders that
    are not sound runs are left out and named on standard error, with the reason.
    """
    from lampbench.report.page import build
    from lampbench.util.errors import LampbenchError

    require(results)
    second = output.with_name(f"{output.stem}-comparisons{output.suffix or '.html'}")
    texts, problems = build.report_pages(results, examples, (output.name, second.name))
    echo_left_out(problems)
    for file, text in zip((output, second), texts, strict=True):
        page = build.encoded(text)
        try:
            replace(file, page)
        except OSError as error:
            raise LampbenchError(f"{file}: {error.strerror}; choose another --output") from error
        click.echo(f"{file}: written, {len(page) / 1e6:.1f} MB")
