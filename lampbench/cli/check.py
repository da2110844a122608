"""`lampbench check`: whether a plugin keeps the contract."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Group, argument, option
from lampbench.cli.names import PluginName
from lampbench.cli.output import echo_json

_WIDTH = 16
"""Of the names of checks."""


@click.group(cls=Group)
def check() -> None:
    """Check whether a plugin keeps the contract of its kind."""


def _check(kind: str, name: str, plugins: tuple[str, ...], task: str | None, form: str) -> None:
    """Make every check, print each verdict as soon as it is there, and leave with 0 or 2."""
    from lampbench.contract.check import check_plugin
    from lampbench.contract.verdict import all_kept
    from lampbench.contract.workshop import workshop
    from lampbench.registry import plugin_paths

    paths = [str(path) for path in plugin_paths(plugins)]
    found = []
    with workshop() as shop:
        for result in check_plugin(kind, name, shop, plugins=paths, task=task):
            found.append(result)
            if form == "text":
                click.echo(f"{result.verdict:<7}  {result.check:<{_WIDTH}}  {result.message}")
    kept = all_kept(found)
    if form == "json":
        echo_json({
            "kind": kind, "name": name, "kept": kept,
            "checks": [
                {"check": one.check, "verdict": one.verdict, "message": one.message}
                for one in found
            ],
        })  # fmt: skip
    else:
        count = sum(one.verdict == "failed" for one in found)
        click.echo(f"\n{kind} {name}: " + ("keeps the contract" if kept else f"{count} failed"))
    click.get_current_context().exit(0 if kept else 2)


_HELP: Mapping[str, str] = {
    "method": "Check a method on a tiny random model and made-up users.",
    "task": "Check a task: its declaration, its prompts, and runs on made-up users.",
    "metric": "Check a metric on made-up answers.",
    "decoding": "Check a decoding (the name of its class) inside an otherwise plain method.",
    "prompting": "Check a prompting (the name of its class) inside an otherwise plain method.",
    "retriever": "Check a retriever (the name of its class) of records that a prompt quotes.",
    "criterion": "Check a criterion (the name of its class) that chooses among sampled answers.",
}
_EXPLAINED = """

The model, the users and the texts are made in seconds, without a network, and nothing is recorded.
Each check is passed, failed, skipped or a note; a failed one says what to change. The exit code is
2 if a check failed.
"""


def _command(kind: str) -> click.Command:
    """The command that checks plugins of a kind."""
    on_task = kind not in ("task", "metric")

    def run(name: str, plugins: tuple[str, ...], form: str, task: str | None = None) -> None:
        _check(kind, name, plugins, task, form)

    made: Callable[..., Any] = options.output_format(run)
    made = options.plugins(made)
    if on_task:
        made = option("--task", metavar="NAME", heading=options.SHOWN, type=PluginName("task"),
                      help="Task on which it is tried.  [default: one made up for checks]",
                      )(made)  # fmt: skip
    completed = PluginName(kind) if kind in ("method", "task", "metric") else str  # type: ignore[arg-type]
    made = argument("name", type=completed)(made)
    return check.command(kind, help=_HELP[kind] + _EXPLAINED)(made)


for _kind in _HELP:
    _command(_kind)
