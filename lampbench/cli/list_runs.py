"""`lampbench list runs`: recorded runs, under headings of what they share."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.names import ModelName, PluginName
from lampbench.cli.output import echo_json, screen_width, table, wrap
from lampbench.cli.recorded_runs import echo_left_out, require
from lampbench.cli.run_record import run_record
from lampbench.cli.values import SEED
from lampbench.report.table import one_line
from lampbench.util.errors import LampbenchError, suggestion

_FILTER = "Which runs"
_KEY = 8
"""Digits of a key that are shown at least; more where two runs share them."""


@click.command("runs", cls=Command)
@option("--method", "methods", multiple=True, metavar="NAME", heading=_FILTER,
        type=PluginName("method"), help="Only runs of this method; repeatable.")  # fmt: skip
@option("--task", "tasks", multiple=True, metavar="NAME", heading=_FILTER,
        type=PluginName("task"), help="Only runs on this task; repeatable.")  # fmt: skip
@option("--model", "models", multiple=True, metavar="MODEL", heading=_FILTER,
        type=ModelName(), help="Only runs of this model; repeatable.")  # fmt: skip
@option("--seed", "seeds", multiple=True, type=SEED, metavar="N", heading=_FILTER,
        help="Only runs with this seed; repeatable.")  # fmt: skip
@options.results
@options.output_format
def list_runs(
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    models: tuple[str, ...],
    seeds: tuple[int, ...],
    results: Path,
    form: str,
) -> None:
    """List recorded runs.

    Folders that are not sound runs are named on standard error, with the reason.
    """
    from lampbench.record.runs import load_runs

    require(results)
    runs, problems = load_runs(results)
    every = [run_record(run) for run in runs]
    wanted = {"method": methods, "task": tasks, "model": models, "seed": seeds}
    found = _matching(every, {k: v for k, v in wanted.items() if v}, results)
    echo_left_out(problems)
    if form == "json":
        left_out = [{"path": p.path.as_posix(), "reason": p.reason} for p in problems]
        echo_json({"runs": found, "left_out": left_out})
        return
    if not found:
        click.echo(f"{results}: no run {'matches' if runs else 'is recorded'}", err=True)
        return
    length = _key_length([each["key"] for each in every])
    click.echo("\n\n".join(_tables(found, length)))


def _matching(
    runs: Sequence[Mapping[str, Any]], wanted: Mapping[str, Collection[Any]], results: Path
) -> list[Mapping[str, Any]]:
    """The runs that have one of the wanted values of every key.

    Raises:
        LampbenchError: no run has one of the values.
    """
    for name, values in wanted.items():
        known = {str(run[name]) for run in runs}
        for value in values:
            if known and str(value) not in known:
                hint = suggestion(str(value), known)
                raise LampbenchError(f"{results}: no run has {name} {value!r}: {hint}")
    return [run for run in runs if all(run[name] in values for name, values in wanted.items())]


def _key_length(keys: Sequence[str]) -> int:
    """How many digits tell the keys apart."""
    return next((n for n in range(_KEY, 64) if len({key[:n] for key in keys}) == len(keys)), 64)


def _tables(runs: Sequence[Mapping[str, Any]], length: int) -> Iterator[str]:
    """The runs that share all that a heading says, as a table under it."""
    groups: dict[str, list[list[str]]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run["method"], _overrides(run), run["seed"])):
        rouge = run["scores"].get("rougeL")
        groups[_heading(run)].append([
            run["key"][:length],
            run["method"],
            str(run["seed"]),
            "-" if rouge is None else f"{rouge:.3f}",
            run["created"][:10],
            _overrides(run),
        ])  # fmt: skip
    for heading, rows in sorted(groups.items()):
        heads = ["run", "method", "seed", "ROUGE-L", "date", "overrides"]
        yield f"{wrap(heading, screen_width())}\n\n{table(heads, rows)}"


def _heading(run: Mapping[str, Any]) -> str:
    failed = f" ({len(run['failed_users'])} failed)" if run["failed_users"] else ""
    parts = [run["task"], run["model"], f"preset {run['preset']}"]
    if run["fidelity"] != "paper":
        parts.append(f"fidelity {run['fidelity']}")
    engine = run["engine"] or "unknown"
    parts.append(f"data {run['data']}")
    if run["max_history"]:
        parts.append(f"max-history {run['max_history']}")
    parts += [f"{run['users']} users{failed}", f"engine {engine}"]
    if run["submitted_by"]:
        parts.append(f"submitted by {run['submitted_by']}")
    return one_line(", ".join(parts))


def _overrides(run: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in run["overrides"].items())


def _value(value: object) -> str:
    """An override as --set takes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return json.dumps(value)
