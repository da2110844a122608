"""`lampbench data`: what a dataset holds and what leaks in it; importing one to read it faster."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import options
from lampbench.cli.audit import audit
from lampbench.cli.datasets import of_tasks, source_of
from lampbench.data import load_dataset
from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    from lampbench.data.dataset_statistics import Table4Row

_COLUMNS = {
    "task": "task",
    "#train": "train",
    "L_in": "train_in",
    "L_out": "train_out",
    "users": "users",
    "queries": "queries",
    "#profile": "profile",
    "L_in (user)": "profile_in",
    "L_out (user)": "profile_out",
}

choice = options.apply(options.dataset, options.plugins)


@click.group()
def data() -> None:
    """Look at a dataset, audit it, or import it."""


data.add_command(audit)


@data.command("stats")
@click.option("--task", "tasks", multiple=True, default=["all"], show_default=True, metavar="NAME",
              help="Task; may be repeated.")  # fmt: skip
@choice
@click.option("--tokenizer", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Count tokens of this model folder's tokenizer, not words.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def stats(
    tasks: tuple[str, ...], tokenizer: Path | None, form: str, plugins: tuple[str, ...], **rest: Any
) -> None:
    """The paper's Table 4 for a source: counts, lengths (mean ± sd), and what the loader found."""
    from lampbench.data.dataset_statistics import (
        dataset_statistics,
        length_in_tokens,
        length_in_words,
    )

    length, unit = (
        (length_in_tokens(tokenizer), "token") if tokenizer else (length_in_words, "word")
    )
    without: list[str] = []
    found = of_tasks(tasks, plugins, rest, without)
    rows = [dataset_statistics(dataset, task, length, unit) for task, dataset in found]
    if not rows:
        raise LampbenchError(without[0] if without else "there are no tasks")
    click.echo(_json(rows, without) if form == "json" else _table(rows, without))


@data.command("import")
@click.option("--task", "name", required=True, metavar="NAME", help="Task to import.")
@choice
@click.option("--output", required=True, type=click.Path(path_type=Path), metavar="DIR",
              help="New folder for the dataset; use it with --data lampbench:DIR.")  # fmt: skip
def import_(name: str, output: Path, plugins: tuple[str, ...], **rest: Any) -> None:
    """Read any source, choose its test users, and write both in lampbench's own layout."""
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


def _json(rows: list["Table4Row"], without: list[str]) -> str:
    found = [dataclasses.asdict(row) for row in rows]
    return json.dumps({"datasets": found, "without_data": without}, indent=1, ensure_ascii=False)


def _table(rows: list["Table4Row"], without: list[str]) -> str:
    from tabulate import tabulate

    cells = [[_cell(getattr(row, key)) for key in _COLUMNS.values()] for row in rows]
    lines = [tabulate(cells, headers=list(_COLUMNS), disable_numparse=True, stralign="right"), ""]
    lines.append(
        f"Lengths in {rows[0].unit}s, mean ± standard deviation; an input is a whole plain prompt. "
        "#train, L_in, L_out: queries of the training users; (user): history of the test users."
    )
    for row in rows:
        lines.append(f"{row.task}: {row.source}{' (synthetic)' if row.synthetic else ''}")
        lines += [f"  {note}" for note in row.notes]
    return "\n".join([*lines, *(f"no data: {line}" for line in without)])


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
