"""`lampbench import` and `lampbench export`: predictions from elsewhere, and to elsewhere."""

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from lampbench.cli import options


@click.group("import")
def import_() -> None:
    """Record what was made elsewhere."""


@import_.command("predictions")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--method", required=True, metavar="NAME", help="What the tables call it.")
@click.option("--title", metavar="TEXT", help="Its title in tables. [default: the name]")
@click.option("--task", "name", required=True, metavar="NAME", help="Task that was answered.")
@click.option("--model", required=True, metavar="MODEL",
              help="Model that answered: a preset, a hub id or any name.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, metavar="N",
              help="Seed of the run elsewhere.")  # fmt: skip
@options.dataset
@options.results
@options.plugins
def predictions(
    file: Path,
    method: str,
    title: str | None,
    name: str,
    model: str,
    seed: int,
    results: Path,
    plugins: tuple[str, ...],
    **rest: Any,
) -> None:
    """Score predictions made elsewhere, and record them as an external run.

    FILE is JSON in the form of LaMP's evaluation: {"task": "LaMP_4", "golds": [{"id": ...,
    "output": ...}]}. It must answer every test query of the data, which also has the references.
    """
    from lampbench.data import DataOptions, load_dataset
    from lampbench.record.import_export import import_predictions
    from lampbench.registry import Registry, plugin_paths
    from lampbench.report.run_summary import print_summary
    from lampbench.util.disk import writable

    task = Registry(plugin_paths(plugins)).task(name)
    source, data_seed = rest.pop("data"), rest.pop("data_seed")
    dataset = load_dataset(task, source, DataOptions(**rest, seed=data_seed))
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
        command=shlex.join(["lampbench", *sys.argv[1:]]),
    )
    print_summary([run.path])


@click.command()
@click.argument("run")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@options.results
@options.plugins
def export(run: str, file: Path, results: Path, plugins: tuple[str, ...]) -> None:
    """Write the predictions of a run in the form of LaMP's evaluation.

    RUN is a run's folder, or the beginning of its key. FILE must not be there yet.
    """
    from lampbench.record.import_export import export_predictions
    from lampbench.registry import Registry, plugin_paths
    from lampbench.report.find_runs import find_run

    found = find_run(results, run)
    task = Registry(plugin_paths(plugins)).task(found.manifest.task)
    count = export_predictions(found, task, file)
    click.echo(f"{file}: {count} predictions of {found.path}")
