"""Tables of methods by columns, the paper's figures only beside runs of the paper's models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lampbench.paper.published import Published, paper
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.machine_readable import entry
from lampbench.report.marks import standings
from lampbench.report.notes import (
    NO_RUN,
    data_notes,
    external_notes,
    paper_notes,
    processor_notes,
    seed_notes,
)
from lampbench.report.numbers import paper_number, score_number
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Table

Printed = Callable[[str], Published | None]
NOTHING: Mapping[str, Callable[[str], str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Slot:
    """A column of our scores, and of the paper's beside it; both are looked up by method.

    `printed` is None where the paper prints nothing for the column's model.
    """

    title: str
    column: Column
    ours: Callable[[str], CellScore | None]
    printed: Printed | None = None


def method_table(
    board: Board,
    title: str,
    slots: Sequence[Slot],
    methods: Sequence[str],
    metric: str,
    facts: Mapping[str, Callable[[str], str]] = NOTHING,
) -> Table:
    """Methods by slots, with the paper's figures beside the scores of the paper's models.

    `facts` are further columns of text, after the method's name: what to say of each method.
    """
    columns = [(slot.title, {method: slot.ours(method) for method in methods}) for slot in slots]
    standing, notes = standings(board, columns)
    header = ["Method", *facts]
    for slot in slots:
        header += [slot.title, "paper"] if slot.printed else [slot.title]
    rows, entries, printed = [], [], []
    for method in methods:
        row: list[Cell] = [board.method_title(method), *(say(method) for say in facts.values())]
        for slot, (_, column), stands in zip(slots, columns, standing, strict=True):
            score, stand = column[method], stands[method]
            figure = slot.printed(method) if slot.printed else None
            row.append(NO_RUN if score is None else score_number(score, stand.mark))
            if slot.printed:
                row.append(paper_number(figure))
            if figure:
                printed.append(figure)
            if score or figure:
                found = entry(method, slot.column.task, metric, score, figure)
                entries.append({**found, **stand.entry()})
        rows.append(tuple(row))
    notes += paper_notes(board, printed)
    titled = [
        (title, {board.method_title(method): score for method, score in column.items()})
        for title, column in columns
    ]
    notes += seed_notes(titled) + processor_notes(titled)
    filled = [score for _, column in columns for score in column.values() if score]
    notes += data_notes(
        board, [slot.column for slot in slots], dict.fromkeys(score.setup for score in filled)
    )
    notes += external_notes(board.method_title(method) for method in methods)
    return Table(title, tuple(header), tuple(rows), 1 + len(facts), tuple(notes), lambda: entries)


def task_slots(
    board: Board,
    setup: Setup,
    methods: Sequence[str],
    metric: str,
    *,
    tables: tuple[int, ...],
    needed: Sequence[str] | None = None,
    further_tasks: bool = False,
) -> list[Slot]:
    """One slot for each of the paper's tasks of a setup on which a `needed` method has run.

    With `further_tasks` there are slots for other tasks whose answers are free text, too. `needed`
    are all `methods` unless others are given. `tables` are the paper's tables that are searched for
    figures, in this order.
    """
    asked = methods if needed is None else needed
    slots = []
    for column in board.text_columns(setup) if further_tasks else board.paper_columns(setup):
        if not any(board.cell(setup, column, method, metric) for method in asked):
            continue
        find = printed_figures(tables, column.task, board.paper_model(setup), metric)
        ours = scores_of_column(board, setup, column, metric)
        slots.append(Slot(board.column_title(column), column, ours, find))
    return slots


def scores_of_column(
    board: Board, setup: Setup, column: Column, metric: str
) -> Callable[[str], CellScore | None]:
    """How to look up a column's scores by method."""

    def find(method: str) -> CellScore | None:
        return board.cell(setup, column, method, metric)

    return find


def printed_figures(
    tables: tuple[int, ...], task: str, model: str | None, metric: str
) -> Printed | None:
    """How to look up the paper's figures for one of its models by method, None if it has none."""
    if model is None:
        return None

    def find(method: str) -> Published | None:
        return paper().find(tables, method, task, model, metric)

    return find if any(find(method) for method in paper().methods) else None
