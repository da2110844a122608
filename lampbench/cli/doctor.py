"""`lampbench doctor`: what works on this machine, what does not, and what to do about it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.names import ModelName, PluginName
from lampbench.cli.output import echo_json

if TYPE_CHECKING:
    from lampbench.study.check_machine import Check


@click.command(cls=Command)
@option("--model", metavar="MODEL", heading=options.MODEL, type=ModelName(),
        help="Also check this model: preset, hub id or folder.  [default: no model]")  # fmt: skip
@options.model_args
@option(
    "--engine",
    metavar="NAME",
    heading=options.MODEL,
    type=PluginName("engine"),
    help="Also compare this engine with the reference engine, on a tiny model and on that of "
    "--model.  [default: no engine]",
)
@options.engine_args
@options.api_base
@options.results
@options.cache_dir
@options.plugins
@options.output_format
@click.pass_context
def doctor(
    ctx: click.Context,
    model: str | None,
    model_args: tuple[str, ...],
    engine: str | None,
    engine_args: tuple[str, ...],
    api_base: str | None,
    results: Path,
    cache_dir: Path,
    plugins: tuple[str, ...],
    form: str,
) -> None:
    """Check this machine, and a model or an engine: one line each, with what to do.

    With --engine: the share of greedy answers that are the reference engine's, the first token that
    differs, the largest difference of log-probabilities, and whether the model without adapters
    answers the same among requests with LoRAs as alone.

    The exit code is 1 if something is wrong that stops runs. A note limits them only.
    """
    from lampbench.api.settings import checked_settings, settle_model_settings
    from lampbench.study.check_machine import check_machine
    from lampbench.study.check_model import check_model

    found = []
    of_model: Iterable[Check] = ()
    if model and _reads_files(engine, plugins):
        known: dict[str, Any] = checked_settings({"model_args": model_args})
        (model,) = settle_model_settings(known, [model])
        of_model = check_model(model, known["model_arguments"])
    of_engine = _engine_checks(engine, engine_args, api_base, model, model_args, cache_dir, plugins)
    for checks in (check_machine(cache_dir, results, plugins), of_model, of_engine):
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


def _reads_files(engine: str | None, plugins: tuple[str, ...]) -> bool:
    """Whether the model of --model is a folder or on the hub, and not a server's."""
    from lampbench.registry import Registry, plugin_paths

    return engine is None or Registry(plugin_paths(plugins)).engine(engine).reads_model_files


def _engine_checks(
    engine: str | None,
    engine_args: tuple[str, ...],
    api_base: str | None,
    model: str | None,
    model_args: tuple[str, ...],
    cache_dir: Path,
    plugins: tuple[str, ...],
) -> "Iterator[Check]":
    """Those of --engine, on a tiny model in float32 and on the model of --model."""
    if engine is None:
        return
    from lampbench import api
    from lampbench.contract.tiny_model import save_tiny_model
    from lampbench.execution.options import engine_pool
    from lampbench.study.engine_parity import check_engine
    from lampbench.util.progress import Progress

    with TemporaryDirectory(prefix="lampbench-doctor-") as folder:
        tiny = save_tiny_model(Path(folder) / "tiny-model", head_dim=32)
        pools = [
            (chosen.models[0], engine_pool(chosen, Progress()))
            for name, given in ((str(tiny), ()), (model, model_args))
            if name is not None
            for chosen in [
                api.options(
                    [], [], models=[name], engine=engine, engine_args=engine_args,
                    api_base=api_base, model_args=given, cache_dir=cache_dir, plugins=plugins,
                )
            ]
        ]  # fmt: skip
        yield from check_engine(engine, pools)
