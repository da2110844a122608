"""How scores and costs change with the number of past records of each user."""

from collections.abc import Iterator, Sequence
from typing import Any

from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.histories import HistoryLength, HistorySeries
from lampbench.report.machine_readable import entry
from lampbench.report.marks import Standing, standings
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_RUN, NO_VALUE, data_notes, processor_notes, seed_notes
from lampbench.report.numbers import score_number
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Number, Section, Table
from lampbench.report.user_cost import mean_cost

_NOTE = (
    "Records: each test user's most recent past records, at most so many (--max-history); all: "
    "every record. Queries, training users and settings are the same in all rows. Methods that "
    "read no history score the same in every row and are left out."
)
_COST_NOTE = (
    "Tokens trained on, read and generated per test user; what all users share (the task's "
    "adapter) is divided among them."
)


def history_sections(series: Sequence[HistorySeries]) -> list[Section]:
    """A section for each setup that has runs on cut histories."""
    board = history_board(series)
    return board.sections(lambda setup: _tables(board, setup, series))


def history_board(series: Sequence[HistorySeries]) -> Board:
    """The titles and findings of all data, methods and setups in some series."""
    return Board(
        score for one in series for length in one.lengths for score in length.scores.values()
    )


def _tables(board: Board, setup: Setup, series: Sequence[HistorySeries]) -> Iterator[Table]:
    for column in board.columns(setup):
        order = board.methods()
        members = sorted(
            (one for one in series if (one.setup, one.column) == (setup, column)),
            key=lambda one: order.index(one.method),
        )
        for metric in PAPER_METRICS:
            if any(_score(length, metric) for one in members for length in one.lengths):
                yield _score_table(board, column, members, metric)
        yield _cost_table(board, column, members)


def _score_table(
    board: Board, column: Column, members: Sequence[HistorySeries], metric: str
) -> Table:
    """Lengths by methods; the best length of each method is tested against the others."""
    columns: list[tuple[str, dict[str, CellScore | None]]] = [
        (
            board.method_title(one.method),
            {length.shown: _score(length, metric) for length in one.lengths},
        )
        for one in members
    ]
    standing, marked = standings(board, columns)
    rows: list[tuple[Cell, ...]] = []
    entries = []
    for most, shown in _rows(members):
        cells: list[Cell] = []
        for one, stands in zip(members, standing, strict=True):
            length = _at(one, most)
            score = _score(length, metric) if length else None
            if length is None or score is None:
                cells.append(NO_VALUE if length else NO_RUN)
                continue
            cells.append(score_number(score, stands[shown].mark))
            entries.append(_entry(one, length, score, stands[shown]))
        rows.append((shown, *cells))
    notes = (
        _NOTE,
        *marked,
        *seed_notes(columns),
        *processor_notes(columns),
        *data_notes(board, [column], [one.setup for one in members]),
    )
    title = f"{board.column_title(column)}: {metric_title(metric)}"
    header = ("Records", *(title for title, _ in columns))
    return Table(title, header, tuple(rows), notes=notes, entries=lambda: entries)


def _cost_table(board: Board, column: Column, members: Sequence[HistorySeries]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for most, shown in _rows(members):
        cells: list[Cell] = []
        for one in members:
            length = _at(one, most)
            cost = mean_cost(length.runs) if length else None
            missing = NO_VALUE if length else NO_RUN
            cells.append(missing if cost is None else Number(cost.tokens, 0))
        rows.append((shown, *cells))
    header = ("Records", *(board.method_title(one.method) for one in members))
    title = f"{board.column_title(column)}: tokens per user"
    return Table(title, header, tuple(rows), notes=(_COST_NOTE,))


def _rows(members: Sequence[HistorySeries]) -> list[tuple[int | None, str]]:
    """Every length that a method has, whole histories last."""
    found = {length.most: length.shown for one in members for length in one.lengths}
    return sorted(found.items(), key=lambda one: (one[0] is None, one[0] or 0))


def _at(series: HistorySeries, most: int | None) -> HistoryLength | None:
    return next((one for one in series.lengths if one.most == most), None)


def _score(length: HistoryLength, metric: str) -> CellScore | None:
    score = length.scores.get(metric)
    return score if score and score.mean is not None else None


def _entry(
    series: HistorySeries, length: HistoryLength, score: CellScore, stand: Standing
) -> dict[str, Any]:
    """A cell for programs: with the length of histories (null: whole) and the cost per user."""
    cost = mean_cost(length.runs)
    return {
        **entry(series.method, series.column.task, score.metric, score, None),
        "max_history": length.most,
        "tokens_per_user": cost.tokens if cost else None,
        "seconds_per_user": cost.before_seconds + cost.answer_seconds if cost else None,
        **stand.entry(),
    }
