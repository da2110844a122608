"""Tasks outside the paper: every method, by the metrics that judge each task."""

from collections.abc import Sequence
from typing import Any

from lampbench.report.board import Board
from lampbench.report.machine_readable import entry
from lampbench.report.marks import standings
from lampbench.report.metric_format import (
    PAPER_METRICS,
    judges,
    lower_is_better,
    metric_title,
)
from lampbench.report.notes import NO_VALUE, data_notes, external_notes
from lampbench.report.numbers import mean_number, score_number
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Section, Table

LOWER = "{}: lower is better."
POOLED_NOTE = (
    "{}: no mean over queries (docs/metrics.md). The interval resamples users; no test is made, "
    "and nothing is marked."
)


def other_task_sections(board: Board) -> list[Section]:
    """A section for each setup that has run a task outside the paper, with a table per task."""
    return board.sections(
        lambda setup: (
            other_task_table(board, setup, column)
            for column in board.columns(setup)
            if column not in board.paper_columns(setup)
        )
    )


def other_task_table(board: Board, setup: Setup, column: Column) -> Table:
    """One task's data: a row per method, a column per metric."""
    names = _metrics(board, column)
    methods = [
        method
        for method in board.methods()
        if any(board.cell(setup, column, method, name) for name in names)
    ]
    cells = {name: {m: board.cell(setup, column, m, name) for m in methods} for name in names}
    ranked = [name for name in names if judges(name)]
    standing, notes = standings(board, [(metric_title(name), cells[name]) for name in ranked])
    rows: list[tuple[Cell, ...]] = []
    entries: list[dict[str, Any]] = []
    for method in methods:
        row: list[Cell] = [board.method_title(method)]
        for name in names:
            score = cells[name][method]
            stand = standing[ranked.index(name)][method] if name in ranked else None
            if score is None:
                row.append(NO_VALUE)
            else:
                row.append(score_number(score, stand.mark) if stand else mean_number(score))
                marked = stand.entry() if stand else {}
                entries.append({**entry(method, column.task, name, score, None), **marked})
        rows.append(tuple(row))
    notes += _about(names, [score for one in cells.values() for score in one.values() if score])
    notes += data_notes(board, [column], [setup])
    notes += external_notes(board.method_title(method) for method in methods)
    header = ("Method", *map(metric_title, names))
    title = board.column_title(column)
    return Table(title, header, tuple(rows), notes=tuple(notes), entries=lambda: entries)


def _metrics(board: Board, column: Column) -> list[str]:
    """What judges a task: its own metrics, with those of words where answers are free text."""
    own = board.own_metrics(column)
    return own if board.has_choices(column) else [*PAPER_METRICS, "meteor", *own]


def _about(names: Sequence[str], scores: Sequence[Any]) -> list[str]:
    lower = [metric_title(name) for name in names if lower_is_better(name)]
    pooled = dict.fromkeys(metric_title(score.metric) for score in scores if score.pooled)
    return [
        *([LOWER.format(", ".join(lower))] if lower else []),
        *([POOLED_NOTE.format(", ".join(pooled))] if pooled else []),
    ]
