"""`lampbench list`: methods, tasks, metrics, models and recorded runs."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Group
from lampbench.cli.list_runs import list_runs
from lampbench.cli.output import echo_json, table
from lampbench.cli.plugin_records import plugin_record

if TYPE_CHECKING:
    from lampbench.engine.models import ModelSpec
    from lampbench.registry import Kind

Row = dict[str, Any]
_WIDTH = 80
_READS = 10
"""Width of the column of what a metric reads."""


@click.group("list", cls=Group)
def list_() -> None:
    """List methods, tasks, metrics, models or recorded runs."""


list_.add_command(list_runs)


@list_.command("methods")
@options.plugins
@options.output_format
def list_methods(plugins: tuple[str, ...], form: str) -> None:
    """List methods; plugins that cannot be loaded with the cause.

    `lampbench show method NAME --task NAME` shows one in full.
    """
    _list("method", plugins, form, ["method", "title", "what it is"],
          lambda found: [found["name"], found["title"], found["description"]])  # fmt: skip


@list_.command("tasks")
@options.plugins
@options.output_format
def list_tasks(plugins: tuple[str, ...], form: str) -> None:
    """List tasks; plugins that cannot be loaded with the cause.

    `lampbench show task NAME` shows one in full.
    """
    _list("task", plugins, form, ["task", "family", "what it is"],
          lambda found: [found["name"], found["family"], found["description"]])  # fmt: skip


@list_.command("metrics")
@options.plugins
@options.output_format
def list_metrics(plugins: tuple[str, ...], form: str) -> None:
    """List metrics; plugins that cannot be loaded with the cause.

    better: which end is desirable. reads: what a metric needs besides the answer.
    """
    _list("metric", plugins, form, ["metric", "better", "reads", "what it is"],
          lambda found: [found["name"], found["better"], ", ".join(found["reads"]),
                         f"{found['title']}: {found['description']}"], {2: _READS})  # fmt: skip


@list_.command("models")
@options.output_format
def list_models(form: str) -> None:
    """List model presets; `--model` also takes any hub id or folder."""
    from lampbench.engine.models import MODEL_PRESETS, is_bundled

    if form == "json":
        echo_json({"models": [
            {"name": spec.name, "location": spec.location, "revision": spec.revision,
             "dtype": spec.dtype, "chat_template": spec.chat_template,
             "bundled": is_bundled(spec), "parameters": spec.parameters,
             "licence": spec.licence, "preset": spec.preset or "paper", "notes": spec.notes}
            for spec in MODEL_PRESETS.values()
        ]})  # fmt: skip
        return
    rows = [
        [spec.name, _size(spec.parameters), spec.licence or "", _origin(spec)]
        for spec in MODEL_PRESETS.values()
    ]
    click.echo(table(["model", "size", "licence", "where it comes from"], rows))
    for spec in MODEL_PRESETS.values():
        if spec.notes:
            click.echo("\n" + textwrap.fill(f"{spec.name}: {'; '.join(spec.notes)}", _WIDTH))


def _size(parameters: int | None) -> str:
    """A number of parameters, such as 135M or 1.7B."""
    if parameters is None:
        return ""
    if parameters < 9.9e8:
        return f"{parameters / 1e6:.{0 if parameters >= 1e7 else 1}f}M"
    return f"{parameters / 1e9:.1f}B"


def _origin(spec: "ModelSpec") -> str:
    from lampbench.engine.models import is_bundled

    if is_bundled(spec):
        return "comes with lampbench"
    return f"pip: {spec.location}" if spec.package else spec.location


def _list(
    kind: "Kind",
    plugins: Sequence[str],
    form: str,
    heads: Sequence[str],
    cells: Callable[[Row], list[str]],
    limits: Mapping[int, int] | None = None,
) -> None:
    """Print the plugins of a kind: a table of the sound ones, then the broken, then notes."""
    from lampbench.registry import Registry, plugin_paths

    found = [plugin_record(kind, row) for row in Registry(plugin_paths(plugins)).rows(kind)]
    if form == "json":
        echo_json({f"{kind}s": found})
        return
    rows = [cells(each) for each in found if not each["error"]]
    click.echo(table(heads, rows, limits))
    broken = [[each["name"], each["error"]] for each in found if each["error"]]
    if broken:
        click.echo(f"\n{table([f'broken {kind}', 'cause'], broken)}")
    for each in found:
        if each["builtin"] is False:
            click.echo(f"\n{each['name']} comes from {each['origin']}")
        if why := each.get("missing"):
            click.echo(f"\n{each['name']} cannot be computed here: {why}")
