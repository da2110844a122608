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
    """Write one HTML page that shows all recorded runs.

    The page needs no server and no network. Folders that are not sound runs are left out and
    named on standard error, with the reason.
    """
    from lampbench.report.page import build
    from lampbench.util.errors import LampbenchError

    require(results)
    text, problems = build.report_page(results, examples)
    echo_left_out(problems)
    page = build.encoded(text)
    try:
        replace(output, page)
    except OSError as error:
        raise LampbenchError(f"{output}: {error.strerror}; choose another --output") from error
    click.echo(f"{output}: written, {len(page) / 1e6:.1f} MB")
