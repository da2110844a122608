"""`lampbench submit`: recorded runs as a folder for a pull request."""

from pathlib import Path

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, argument, option
from lampbench.cli.names import RunName
from lampbench.cli.values import RecordedName

_WHO, _WHAT = "Who", "What is published"

private = option(
    "--private", is_flag=True, heading=_WHAT,
    help="Submit hashes, lengths and scores, but no text of users and none of the model. Their "
         "scores cannot be computed again.",
)  # fmt: skip
with_texts = option(
    "--with-texts", is_flag=True, heading=_WHAT,
    help="Publish the texts of data that does not come with lampbench. You say that its licence "
         "and the people in it allow that.",
)  # fmt: skip


@click.command(cls=Command)
@argument("runs", nargs=-1, required=True, type=RunName(), metavar="RUN...")
@option("--name", required=True, metavar="TEXT", heading=_WHO, type=RecordedName(),
        help="Who recorded the runs, as tables show it.")  # fmt: skip
@option("--url", metavar="URL", heading=_WHO,
        help="Where more is said about them, for example a paper or a repository.")  # fmt: skip
@private
@with_texts
@option("--output", type=click.Path(path_type=Path), metavar="DIR", heading=options.OUTPUT,
        help="Folder to write, which must not be there yet.  "
             "[default: submissions/NAME below --results]")  # fmt: skip
@options.results
def submit(
    runs: tuple[str, ...],
    name: str,
    url: str | None,
    private: bool,
    with_texts: bool,
    output: Path | None,
    results: Path,
) -> None:
    """Write recorded runs as a submission to the board: a folder for a pull request.

    RUN is a run's folder or the beginning of its key. The folder has manifests, predictions,
    scores, and the queries and histories of the data. Nothing is written where a manifest names a
    home folder, an e-mail address or a secret, or where texts of users may not be published.
    """
    from lampbench.record.submission import SUBMISSIONS
    from lampbench.record.write_submission import folder_name, write_submission
    from lampbench.report.find_runs import find_run

    found = [find_run(results, each) for each in runs]
    folder = output or results / SUBMISSIONS / folder_name(name)
    write_submission(found, folder, name, url=url, private=private, with_texts=with_texts)
    click.echo(f"{folder}: {len(found)} {'run' if len(found) == 1 else 'runs'} written")
    click.echo(f"Check it with `lampbench verify {folder}`, then open a pull request with it.")
