"""`lampbench new`: a working plugin to begin with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Group, option

if TYPE_CHECKING:
    from lampbench.registry import Kind


@click.group(cls=Group)
def new() -> None:
    """Write a working, documented and tested plugin to begin with."""


_files = options.apply(
    option("--folder", type=click.Path(path_type=Path, file_okay=False), default=".",
           show_default=True, metavar="DIR", heading=options.OUTPUT,
           help="Folder in which it is written."),
    option("--package", is_flag=True, heading=options.OUTPUT,
           help="Write a package that can be installed and published."),
)  # fmt: skip


def _new(kind: "Kind", name: str, folder: Path, package: bool) -> None:
    from lampbench.scaffold.write import write_package, write_plugin

    made = (write_package if package else write_plugin)(kind, name, folder)
    for file in made:
        click.echo(file.as_posix())
    if package:
        click.echo(f"\nNext: pip install -e {made[0].parent.as_posix()}[test]")
        click.echo(f"      lampbench check {kind} {name}")
    else:
        click.echo(f"\nNext: lampbench check {kind} {name} --plugins {made[0].as_posix()}")


@new.command("method")
@click.argument("name")
@_files
def new_method(name: str, folder: Path, package: bool) -> None:
    """Write a method: a prompt of its own with one hyper-parameter, and its test."""
    _new("method", name, folder, package)


@new.command("task")
@click.argument("name")
@_files
def new_task(name: str, folder: Path, package: bool) -> None:
    """Write a task with one input field, and its test."""
    _new("task", name, folder, package)


@new.command("metric")
@click.argument("name")
@_files
def new_metric(name: str, folder: Path, package: bool) -> None:
    """Write a metric that compares answers with references, and its test."""
    _new("metric", name, folder, package)
