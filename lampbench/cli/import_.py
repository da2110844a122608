"""`lampbench import predictions`: predictions that were made elsewhere, as a recorded run."""

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
    """Record predictions that were made elsewhere."""


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
    )
    print_summary([run.path])
