"""`lampbench doctor`: what works on this machine, what does not, and what to do about it."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.names import ModelName
from lampbench.cli.output import echo_json

if TYPE_CHECKING:
    from lampbench.study.check_machine import Check


@click.command(cls=Command)
@option("--model", metavar="MODEL", heading=options.MODEL, type=ModelName(),
        help="Also check this model: preset, hub id or folder.  [default: no model]")  # fmt: skip
@options.model_args
@options.results
@options.cache_dir
@options.plugins
@options.output_format
@click.pass_context
def doctor(
    ctx: click.Context,
    model: str | None,
    model_args: tuple[str, ...],
    results: Path,
    cache_dir: Path,
    plugins: tuple[str, ...],
    form: str,
) -> None:
    """Check this machine and, with --model, a model: one line each, with what to do.

    The exit code is 1 if something is wrong that stops runs. A note limits them only.
    """
    from lampbench.api.settings import checked_settings, settle_model_settings
    from lampbench.study.check_machine import check_machine
    from lampbench.study.check_model import check_model

    found = []
    of_model: Iterable[Check] = ()
    if model:
        known: dict[str, Any] = checked_settings({"model_args": model_args})
        (model,) = settle_model_settings(known, [model])
        of_model = check_model(model, known["model_arguments"])
    for checks in (check_machine(cache_dir, results, plugins), of_model):
        for each in checks:
            found.append(each)
            if form == "text":
                click.echo(f"{each.state:<5}  {each.name}: {' '.join(each.text.split())}")
    wrong = sum(each.state == "wrong" for each in found)
    if form == "json":
        records = [{"name": c.name, "state": c.state, "text": c.text} for c in found]
        echo_json({"checks": records, "wrong": wrong})
    else:
        notes = sum(each.state == "note" for each in found)
        click.echo(f"\n{wrong} wrong, {notes} notes, {len(found) - wrong - notes} ok")
    ctx.exit(1 if wrong else 0)
