"""`lampbench engines`: what runs models, what it can do, and what is missing here."""

import textwrap

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command
from lampbench.cli.output import echo_json, table
from lampbench.cli.plugin_records import plugin_record

_WIDTH = 80


@click.command(cls=Command)
@options.plugins
@options.output_format
def engines(plugins: tuple[str, ...], form: str) -> None:
    """List engines: what each can do, its arguments, and what is missing here.

    `lampbench run --engine NAME` uses one. `lampbench doctor --engine NAME` compares one with the
    reference engine.
    """
    from lampbench.engine.capability import Capability, in_words
    from lampbench.registry import Registry, plugin_paths

    rows = Registry(plugin_paths(plugins)).rows("engine")
    if form == "json":
        echo_json({"engines": [plugin_record("engine", row) for row in rows]})
        return
    sound = [(row.name, row.plugin) for row in rows if row.plugin is not None]
    here = [[name, "no" if made.missing() else "yes", made.summary] for name, made in sound]
    click.echo(table(["engine", "usable here", "what it is"], here))
    for name, made in sound:
        lacking = frozenset(Capability) - made.capabilities
        if len(lacking) < len(made.capabilities):
            _told(f"{name} can", "everything" if not lacking else f"all but {in_words(lacking)}")
        else:
            _told(f"{name} can", in_words(made.capabilities))
        for one in made.arguments:
            default = "" if one.default is None else f" (default: {one.default})"
            _told(f"--engine-arg {one.name}={one.kind.__name__}", one.help + default)
        for text in made.missing():
            _told(f"{name} needs", text)
    broken = [[row.name, row.error or ""] for row in rows if row.error]
    if broken:
        click.echo("\n" + table(["broken engine", "cause"], broken))


def _told(what: str, text: str) -> None:
    if text:
        click.echo("\n" + textwrap.fill(f"{what}: {text}", _WIDTH, subsequent_indent="  "))
