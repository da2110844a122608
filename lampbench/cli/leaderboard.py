"""`lampbench leaderboard`: leaderboard.md and every table in full, made from recorded runs."""

from pathlib import Path

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.util.defaults import LEADERBOARD


@click.command(cls=Command)
@options.results
@option("--output", type=click.Path(path_type=Path, dir_okay=False), default=LEADERBOARD,
        metavar="FILE", show_default=True, heading=options.OUTPUT,
        help="Page to write. All tables go to the folder `tables` inside --results.")  # fmt: skip
@option("--check", is_flag=True, heading=options.OUTPUT,
        help="Write nothing; exit with 1 if any page is out of date.")  # fmt: skip
def leaderboard(results: Path, output: Path, check: bool) -> None:
    """Write the leaderboard, and every table in full, from recorded runs alone.

    Folders that are not sound runs are left out and named on standard error, with the reason.
    """
    from lampbench.cli.recorded_runs import recorded
    from lampbench.report.leaderboard import TABLES_FOLDER, pages
    from lampbench.report.page_files import EXTRA, outdated, write_pages

    folder = results / TABLES_FOLDER
    made = pages(recorded(results), output, folder)
    if check:
        stale = outdated(made, folder)
        for path, reason in stale.items():
            click.echo(f"{path}: {reason}", err=True)
        if stale:
            command = f"lampbench leaderboard --results {results} --output {output}"
            click.echo(f"run `{command}` to write what is out of date", err=True)
            raise SystemExit(1)
        return
    written, extra = write_pages(made, folder)
    for path in written:
        click.echo(f"{path}: written")
    for path in extra:
        click.echo(f"{path}: {EXTRA}", err=True)
    if not written:
        click.echo(f"{output} and {len(made) - 1} pages in {folder}: up to date")
