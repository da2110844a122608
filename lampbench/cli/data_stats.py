"""`lampbench data stats`: the paper's Table 4 for any source of data."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command, option
from lampbench.cli.output import echo_json
from lampbench.cli.task_datasets import of_tasks, require_some

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


@click.command(cls=Command)
@options.tasks_of_data
@options.dataset
@options.plugins
@option("--tokenizer", type=click.Path(path_type=Path), metavar="DIR", heading=options.OUTPUT,
        help="Count tokens with this model folder's tokenizer.  [default: words]")  # fmt: skip
@options.output_format
def stats(
    tasks: tuple[str, ...], tokenizer: Path | None, form: str, plugins: tuple[str, ...], **rest: Any
) -> None:
    """Count users, queries and lengths, as in the paper's Table 4, and show the loader's notes."""
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
    require_some(rows, without)
    if form == "json":
        records = [dataclasses.asdict(row) for row in rows]
        echo_json({"datasets": records, "without_data": without})
    else:
        click.echo(_table(rows, without))


def _table(rows: list["Table4Row"], without: list[str]) -> str:
    from lampbench.util.fitted_table import fitted_table

    cells = [[_cell(getattr(row, key)) for key in _COLUMNS.values()] for row in rows]
    lines = [fitted_table(cells, list(_COLUMNS), disable_numparse=True, stralign="right"), ""]
    lines.append(
        f"Lengths in {rows[0].unit}s, mean ± standard deviation; an input is a whole plain prompt. "
        "#train, L_in and L_out count queries of the training users, (user) the history of the "
        "test users."
    )
    for row in rows:
        lines.append(f"{row.task}: {row.source}{' (synthetic)' if row.synthetic else ''}")
        lines += [f"  {note}" for note in row.notes]
    return "\n".join([*lines, *(f"no data: {line}" for line in without)])


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
