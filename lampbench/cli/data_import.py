"""`lampbench data import`: a dataset in lampbench's own layout, which is faster to read."""

from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.names import PluginName
from lampbench.cli.task_datasets import source_of


@click.command("import", cls=Command)
@option("--task", "name", required=True, metavar="NAME", heading=options.DATA,
        type=PluginName("task"), help="Task to import.")  # fmt: skip
@options.dataset
@options.plugins
@option("--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
        heading=options.OUTPUT,
        help="New folder for the dataset; read it with --data lampbench:DIR.")  # fmt: skip
def import_(name: str, output: Path, plugins: tuple[str, ...], **rest: Any) -> None:
    """Read data from any source, choose the test users, and write it in lampbench's own layout."""
    from lampbench.data import load_dataset
    from lampbench.data.write_dataset import check_output_folder, write_dataset
    from lampbench.registry import Registry, plugin_paths

    check_output_folder(output)
    dataset = load_dataset(Registry(plugin_paths(plugins)).task(name), *source_of(rest))
    write_dataset(dataset, output)
    click.echo(
        f"{output}: {len(dataset.test_users)} test users, {len(dataset.train_users)} training "
        f"users; read it with --data lampbench:{output}"
    )
    for note in dataset.notes:
        click.echo(f"  {note}")
