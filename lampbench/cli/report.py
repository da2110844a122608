"""`lampbench report`: make one HTML file from recorded runs."""

from pathlib import Path

import click

from lampbench.cli import options
from lampbench.util.atomic import replace


@click.command()
@options.results
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="File to write.",
)
@click.option(
    "--examples",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    metavar="N",
    help="Queries per task in the example browser.",
)
def report(results: Path, output: Path, examples: int) -> None:
    """Make one self-contained HTML file from recorded runs alone.

    It opens in any browser, without a server or a network. Folders that are no sound runs are
    named on standard error and left out.
    """
    from lampbench.report.page import build
    from lampbench.util.errors import LampbenchError

    if not results.is_dir():
        raise LampbenchError(f"{results}: no such folder; name the one of the runs with --results")
    text, problems = build.report(results, examples)
    for problem in problems:
        click.echo(str(problem), err=True)
    page = build.encoded(text)
    try:
        replace(output, page)
    except OSError as error:
        raise LampbenchError(f"{output}: {error.strerror}; choose another --output") from error
    click.echo(f"{output}: written, {len(page) / 1e6:.1f} MB")
