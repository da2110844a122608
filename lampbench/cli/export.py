"""`lampbench export`: predictions in the form of LaMP's evaluation, or whole runs to the hub."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, argument
from lampbench.cli.names import RunName
from lampbench.cli.submit import private, with_texts

if TYPE_CHECKING:
    from lampbench.record.recorded_run import Run


@click.command(cls=Command)
@argument("runs", type=RunName(), nargs=-1, required=True, metavar="RUN...")
@argument("target", metavar="TARGET")
@private
@with_texts
@options.plugins
@options.results
def export(
    runs: tuple[str, ...],
    target: str,
    private: bool,
    with_texts: bool,
    results: Path,
    plugins: tuple[str, ...],
) -> None:
    """Write a run's predictions as JSON that LaMP's evaluation reads, or runs to the hub.

    RUN is a run's folder or the beginning of its key. TARGET is a file that does not exist yet,
    for one run, or hub:OWNER/NAME[@BRANCH], a dataset repository of the Hugging Face hub, which is
    made (closed to others) where it is not there. What must not be published is refused, as by
    `lampbench submit`.
    """
    from lampbench.record.hub_repository import HUB, upload_runs
    from lampbench.report.find_runs import find_run
    from lampbench.util.errors import LampbenchError

    found = [find_run(results, each) for each in runs]
    if target.startswith(HUB):
        address = upload_runs(found, target, private=private, with_texts=with_texts)
        click.echo(f"{address}: {len(found)} {'run' if len(found) == 1 else 'runs'} written")
        return
    if len(found) > 1:
        raise LampbenchError(f"{target}: takes the predictions of one run; name one, or {HUB}...")
    if private or with_texts:
        raise LampbenchError(f"--private and --with-texts are for {HUB}OWNER/NAME; leave them out")
    _write_predictions(found[0], Path(target), plugins)


def _write_predictions(run: "Run", file: Path, plugins: tuple[str, ...]) -> None:
    from lampbench.record.import_export import export_predictions
    from lampbench.registry import Registry, plugin_paths

    task = Registry(plugin_paths(plugins)).task(run.manifest.task)
    count = export_predictions(run, task, file)
    click.echo(f"{file}: {count} predictions of {run.path} written")
