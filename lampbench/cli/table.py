"""`lampbench table`: one table of recorded runs."""

from pathlib import Path

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, argument, option
from lampbench.cli.names import PluginName
from lampbench.cli.values import OneOf
from lampbench.report.contents import CONTENTS


@click.command(cls=Command, epilog="Tables: " + ", ".join(CONTENTS))
@argument("name", metavar="NAME", type=OneOf(list(CONTENTS)))
@option("--baseline", metavar="METHOD", heading=options.SHOWN, type=PluginName("method"),
        help="With gains: compare every method with this one.  [default: the pairs that the paper "
             "compares, and controls]")  # fmt: skip
@options.results
@option("--format", "form", type=OneOf(["text", "markdown", "latex", "csv", "json"]),
        default=None, heading=options.OUTPUT,
        help="text: fits the terminal. csv, json: one record per cell.  [default: text on a "
             "terminal, markdown elsewhere]")  # fmt: skip
def table(name: str, baseline: str | None, results: Path, form: str | None) -> None:
    """Print one table of recorded runs.

    Folders that are not sound runs are left out and named on standard error, with the reason.
    """
    from lampbench.cli.recorded_runs import recorded
    from lampbench.report.contents import sections
    from lampbench.report.latex import as_latex
    from lampbench.report.machine_readable import as_csv, as_json
    from lampbench.report.markdown import as_markdown
    from lampbench.report.plain_text import as_plain_text
    from lampbench.util.terminal import terminal_width

    form = form or ("markdown" if terminal_width() is None else "text")
    shown = sections(recorded(results), name, baseline)
    if form == "json":
        click.echo(as_json(shown))
    elif form == "csv":
        click.echo(as_csv(shown))
    elif not shown:
        click.echo(f"{results}: no run is recorded for this table", err=True)
    elif form == "text":
        click.echo(as_plain_text(shown), nl=False)
    elif form == "latex":
        click.echo(as_latex(shown, name), nl=False)
    else:
        click.echo(as_markdown(shown, 2), nl=False)
