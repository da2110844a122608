"""`lampbench export`: the predictions of a run in the form of LaMP's evaluation."""

from pathlib import Path

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, argument
from lampbench.cli.names import RunName


@click.command(cls=Command)
@argument("run", type=RunName())
@argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.plugins
@options.results
def export(run: str, file: Path, results: Path, plugins: tuple[str, ...]) -> None:
    """Write a run's predictions as JSON that LaMP's evaluation reads.

    RUN is a run's folder or the beginning of its key. FILE must not exist yet.
    """
    from lampbench.record.import_export import export_predictions
    from lampbench.registry import Registry, plugin_paths
    from lampbench.report.find_runs import find_run

    found = find_run(results, run)
    task = Registry(plugin_paths(plugins)).task(found.manifest.task)
    count = export_predictions(found, task, file)
    click.echo(f"{file}: {count} predictions of {found.path} written")
