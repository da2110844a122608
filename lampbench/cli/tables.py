"""`lampbench tables`: make leaderboard.md from recorded runs."""

from pathlib import Path

import click

from lampbench.cli import options
from lampbench.cli.output import replace


@click.command()
@options.results
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="leaderboard.md",
    show_default=True,
    help="File to write.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the file is not up to date.")
def tables(results: Path, output: Path, check: bool) -> None:
    """Make the leaderboard from recorded runs alone.

    Folders that are no sound runs are named on standard error and left out.
    """
    from lampbench.errors import LampbenchError
    from lampbench.report.leaderboard import leaderboard

    if not results.is_dir():
        raise LampbenchError(f"{results}: no such folder; name the one of the runs with --results")
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
