"""`lampbench forget`: removing a user, on request."""

from pathlib import Path

import click
from click.core import ParameterSource

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command
from lampbench.cli.recorded_runs import require
from lampbench.report.table import one_line
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress

_BEYOND = (
    "Not reached: exported predictions, report pages, copies, backups, the history of a "
    "repository, and the data themselves. `lampbench leaderboard` makes the tables again."
)


@click.command(cls=Command)
@click.argument("user")
@options.results
@options.cache_dir
def forget(user: str, results: Path, cache_dir: Path) -> None:
    """Remove a user from recorded runs and from the cache.

    USER is the user's id in the data. Removed are the user's adapters, profiles, sampled answers
    and journals, and in every recorded run the user's queries, answers, scores and history. Means
    are computed again; manifests say how many users were removed, and not who. What may still
    hold the user's texts is listed.
    """
    from lampbench.execution.forget_artifacts import forget_in_cache
    from lampbench.record.forget import forget_in_results

    # a machine that only worked for others has a cache and no recorded runs
    if click.get_current_context().get_parameter_source("results") != ParameterSource.DEFAULT:
        require(results)
    try:
        removed, left = forget_in_cache(cache_dir, user)
        in_results = forget_in_results(results, user, Progress().say)
    except OSError as error:
        raise LampbenchError(
            f"{error.filename}: cannot be changed ({error.strerror}); what was removed before "
            "stays removed; give the command again"
        ) from error
    removed, left = removed + in_results[0], left + in_results[1]
    for line in removed:
        click.echo(f"removed: {one_line(line)}")
    if not removed:
        click.echo(f"nothing of user {user!r} is in {results} or {cache_dir}")
    if not results.is_dir():
        click.echo(f"{results}: no such folder; only {cache_dir} was searched")
    for line in left:
        click.echo(f"may still hold the user: {one_line(line)}")
    click.echo(_BEYOND)
