"""`lampbench tables`: make leaderboard.md from recorded runs, or print one of its tables."""

from pathlib import Path

import click

from lampbench.cli import options
from lampbench.cli.loading import recorded, require
from lampbench.report.contents import TABLES, sections
from lampbench.util.atomic import replace
from lampbench.util.errors import LampbenchError, suggestion

PAGE = Path("leaderboard.md")


@click.command()
@click.argument("table", required=False, type=click.Choice(TABLES))
@options.results
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "latex", "csv", "json"]),
    help="How to print TABLE. csv and json: a record a cell.  [default: markdown]",
)
@click.option(
    "--baseline",
    metavar="METHOD",
    help="With gains: the method that all others are held against. "
    "[default: the pairs that the paper names]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"File to write, without TABLE.  [default: {PAGE}]",
)
@click.option("--check", is_flag=True,
              help="Without TABLE: write nothing; exit 1 if the file is stale.")  # fmt: skip
def tables(
    table: str | None,
    results: Path,
    form: str | None,
    baseline: str | None,
    output: Path | None,
    check: bool,
) -> None:
    """Make the leaderboard from recorded runs alone; with TABLE, print that table.

    Folders that are no sound runs are named on standard error and left out.
    """
    if baseline and table != "gains":
        raise LampbenchError("--baseline belongs to one table: lampbench tables gains")
    if table:
        if output or check:
            raise LampbenchError(
                f"--output and --check are for the whole page: leave out {table}, "
                f"or write it to a file with `lampbench tables {table} > FILE`"
            )
        _print(table, results, form or "markdown", baseline)
    elif form not in (None, "markdown"):
        raise LampbenchError(f"--format {form} is for one table: name {', '.join(TABLES)}")
    else:
        _page(results, output or PAGE, check)


def _print(table: str, results: Path, form: str, baseline: str | None) -> None:
    from lampbench.report import latex, machine_readable, markdown

    found = recorded(results)
    methods = {record.method for record in found.board.records}
    if baseline and baseline not in methods:
        hint = suggestion(baseline, methods) if methods else "nothing is recorded"
        raise LampbenchError(f"{results} holds no run of {baseline!r}: {hint}")
    shown = sections(found, table, baseline)
    if form == "json":
        click.echo(machine_readable.as_json(shown))
    elif form == "csv":
        click.echo(machine_readable.as_csv(shown))
    elif not any(section.tables for section in shown):
        click.echo(f"{results}: no run belongs to this table", err=True)
    elif form == "latex":
        click.echo(latex.render_sections(shown, table), nl=False)
    else:
        click.echo("\n".join(markdown.render_sections(shown, 2)), nl=False)


def _page(results: Path, output: Path, check: bool) -> None:
    from lampbench.report.leaderboard import leaderboard

    require(results)
    text, problems = leaderboard(results)
    for problem in problems:
        click.echo(str(problem), err=True)
    page = text.encode("utf-8")
    try:
        before = output.read_bytes() if output.exists() else None
        if not check and before != page:
            replace(output, page)
    except OSError as error:
        raise LampbenchError(f"{output}: {error.strerror}; choose another --output") from error
    if not check:
        click.echo(f"{output}: {'up to date' if before == page else 'written'}")
    elif before != page:
        state = "is missing" if before is None else f"is stale from {_difference(before, page)}"
        command = f"lampbench tables --results {results} --output {output}"
        click.echo(f"{output} {state}: run `{command}`", err=True)
        raise SystemExit(1)


def _difference(before: bytes, page: bytes) -> str:
    old, new = before.splitlines(), page.splitlines()
    same = (i for i, (a, b) in enumerate(zip(old, new, strict=False), start=1) if a != b)
    return f"line {next(same, min(len(old), len(new)) + 1)} on"
