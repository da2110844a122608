"""The paper's methods on several models (Tables 2 and 5 to 7)."""

from dataclasses import replace

from lampbench.paper.cast import cast
from lampbench.paper.published import paper
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.machine_readable import entry
from lampbench.report.marks import standings
from lampbench.report.method_table import (
    Slot,
    method_table,
    printed_figures,
    scores_of_column,
)
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_RUN, data_notes, processor_notes, seed_notes
from lampbench.report.numbers import score_number
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Mark, Section, Table
from lampbench.report.tables.main import MAIN_TABLES


def cross_model_sections(board: Board) -> list[Section]:
    """Methods by models, one table for each task's data and metric."""
    tables = []
    for column, setups in compared(board):
        for metric in PAPER_METRICS:
            slots = [
                Slot(
                    board.setup_title(setup, setups),
                    column,
                    scores_of_column(board, setup, column, metric),
                    printed_figures(MAIN_TABLES, column.task, board.paper_model(setup), metric),
                )
                for setup in setups
            ]
            title = f"{board.column_title(column)}, {metric_title(metric)}"
            tables.append(method_table(board, title, slots, cast().main, metric))
    return [Section("", tuple(tables))] if tables else []


def compared(board: Board) -> list[tuple[Column, list[Setup]]]:
    """The data that the paper's methods have run on in two setups or more, and these setups.

    The paper's models come last, in its order.
    """
    models = list(paper().models)

    def place(setup: Setup) -> int:
        model = board.paper_model(setup)
        return models.index(model) if model else -1

    found = []
    for column in board.paper_columns():
        setups = {s.setup for s in board.scores if s.column == column and s.method in cast().main}
        if len(setups) > 1:
            found.append((column, sorted(sorted(setups), key=place)))
    return found


def cross_model_summary(board: Board, metric: str, most: int) -> Table | None:
    """One metric without intervals: a row for each task and model, at most `most` of them.

    None where nothing compares.
    """
    every = [(column, setup) for column, setups in compared(board) for setup in setups]
    if not every:
        return None
    places = every[:most]
    setups = sorted({setup for _, setup in places})
    found = []
    for column, setup in places:
        ours = scores_of_column(board, setup, column, metric)
        title = f"{board.column_title(column)}, {board.setup_title(setup, setups)}"
        found.append((title, {method: ours(method) for method in cast().main}))
    standing, notes = standings(board, found)
    rows: list[tuple[Cell, ...]] = []
    entries = []
    for (column, setup), (_, scores), stands in zip(places, found, standing, strict=True):
        cells: list[Cell] = []
        for method, score in scores.items():
            stand = stands[method]
            cells.append(_without_interval(score, stand.mark))
            if score:
                one = entry(method, column.task, metric, score, None)
                entries.append({**one, **stand.entry()})
        rows.append((board.column_title(column), board.setup_title(setup, setups), *cells))
    notes = [note.replace("of its column", "of its row") for note in notes]
    titled = [
        (title, {board.method_title(method): score for method, score in scores.items()})
        for title, scores in found
    ]
    notes += seed_notes(titled) + processor_notes(titled)
    if len(every) > len(places):
        notes.append(f"The first {len(places)} of {len(every)} rows.")
    notes += data_notes(board, *zip(*places, strict=True)) if places else []
    header = ("Task", "Model", *(board.method_title(method) for method in cast().main))
    title = f"Across models, {metric_title(metric)}"
    return Table(title, header, tuple(rows), 2, tuple(notes), lambda: entries)


def _without_interval(score: CellScore | None, mark: Mark) -> Cell:
    number = score_number(score, mark) if score else NO_RUN
    return number if isinstance(number, str) else replace(number, low=None, high=None)
