"""`lampbench import`: predictions and runs that were made elsewhere."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Group, argument, command_line, option
from lampbench.cli.names import ModelName, PluginName
from lampbench.cli.task_datasets import source_of
from lampbench.cli.values import SEED, RecordedName

_WHAT = "What was run"


@click.group("import", cls=Group)
def import_() -> None:
    """Record predictions or runs that were made elsewhere."""


@import_.command("predictions")
@argument("file", type=click.Path(path_type=Path))
@option("--method", required=True, metavar="NAME", heading=_WHAT, type=RecordedName(),
        help="Name of the method in results and tables.")  # fmt: skip
@option("--title", metavar="TEXT", heading=_WHAT, type=RecordedName(),
        help="Title of the method in tables.  [default: its name]")  # fmt: skip
@option("--task", "name", required=True, metavar="NAME", heading=_WHAT, type=PluginName("task"),
        help="Task whose queries were answered.")  # fmt: skip
@option("--model", required=True, metavar="MODEL", heading=_WHAT, type=ModelName(),
        help="Model that was used: a preset, a hub id or any name.")  # fmt: skip
@option("--seed", type=SEED, default=0, show_default=True, metavar="N", heading=_WHAT,
        help="Seed that was used.")  # fmt: skip
@options.plugins
@options.dataset
@options.results
@options.private
def predictions(
    file: Path,
    method: str,
    title: str | None,
    name: str,
    model: str,
    seed: int,
    results: Path,
    plugins: tuple[str, ...],
    private: bool,
    **rest: Any,
) -> None:
    """Score predictions that were made elsewhere and record them as an external run.

    FILE is JSON as LaMP's evaluation reads it: {"task": "LaMP_4", "golds": [{"id": ...,
    "output": ...}]}. It must answer every test query of the data; the references are the data's.
    """
    from lampbench.data import load_dataset
    from lampbench.record.import_export import import_predictions
    from lampbench.registry import Registry, plugin_paths
    from lampbench.report.run_summary import print_summary
    from lampbench.util.disk import writable

    task = Registry(plugin_paths(plugins)).task(name)
    dataset = load_dataset(task, *source_of(rest))
    writable(results, "--results")
    run = import_predictions(
        file,
        task,
        dataset,
        method=method,
        title=title or method,
        model=model,
        seed=seed,
        results=results,
        command=command_line(),
        private=private,
        plugins=tuple(plugin_paths(plugins)),
    )
    print_summary([run.path])


@import_.command("runs")
@argument("source", metavar="SOURCE")
@option("--name", metavar="TEXT", type=RecordedName(),
        help="Who recorded the runs.  [default: the repository, or what the folder "
             "names]")  # fmt: skip
@option("--own", is_flag=True, help="They are our own, for example from another machine.")
@options.results
def runs(source: str, name: str | None, own: bool, results: Path) -> None:
    """Copy recorded runs from elsewhere, as a submission or as our own.

    SOURCE is a folder like `results`, or hub:OWNER/NAME[@REVISION], a dataset repository of the
    Hugging Face hub. Digests are checked; `lampbench verify` checks the rest.
    """
    import tempfile

    from lampbench.record.adopt_runs import adopt_runs
    from lampbench.record.hub_repository import HUB, download_runs, parse_repository
    from lampbench.util.disk import writable
    from lampbench.util.errors import LampbenchError

    if own and name:
        raise LampbenchError("--own and --name exclude each other; give one of them")
    writable(results, "--results")
    with tempfile.TemporaryDirectory(dir=results, prefix=".import-") as temporary:
        folder = Path(source)
        if source.startswith(HUB):
            folder = Path(temporary)
            name = name or parse_repository(source)[0]
            download_runs(source, folder)
        elif not folder.is_dir():
            raise LampbenchError(f"{source}: no such folder; name one, or {HUB}OWNER/NAME")
        made = adopt_runs(folder, results, None if own else name or _named(folder))
    for path in made:
        click.echo(f"{path}: recorded")
    if not made:
        click.echo("all of these runs are recorded already")


def _named(folder: Path) -> str:
    """Who recorded the runs of a folder."""
    from lampbench.record.submission import submitter_of
    from lampbench.util.errors import LampbenchError

    try:
        name = submitter_of(folder)
    except ValueError as error:
        raise LampbenchError(f"{folder}: {error}; restore the file") from error
    if name is None:
        raise LampbenchError(
            f"{folder}: does not say who recorded its runs; give --name, or --own if you did"
        )
    return name
