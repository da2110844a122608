"""The cells of the page: a method on one task's data in one setup, with its scores by query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lampbench.record.recorded_run import Run
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore, score_cell
from lampbench.report.metric_format import MAIN_METRIC, goals
from lampbench.report.notes import processor_notes
from lampbench.report.setups import Column, Setup, column_of, setup_of
from lampbench.report.statistics import Scores


@dataclass(frozen=True, slots=True)
class PageCell:
    """The runs of one method that differ in nothing but the seed, in order of seeds.

    `scores` holds, for each metric that could be computed on every query, its mean over seeds by
    (user, query); queries whose reference is withheld have none.
    """

    setup: Setup
    column: Column
    method: str
    title: str
    synthetic: bool
    runs: tuple[Run, ...]
    scores: Mapping[str, Scores]


@dataclass(frozen=True, slots=True)
class SetupGroup:
    """All cells of one setup, by task and method. `methods` are those that fill a cell, in the
    order of the leaderboard, with their titles.
    """

    setup: Setup
    title: str
    methods: Mapping[str, str]
    cells: tuple[PageCell, ...]
    board: Board = field(repr=False, compare=False)

    def columns(self) -> list[Column]:
        """The tasks' data, in the order of the leaderboard."""
        return list(dict.fromkeys(cell.column for cell in self.cells))

    def of(self, column: Column) -> list[PageCell]:
        """The cells of one task's data, in the order of methods."""
        return [cell for cell in self.cells if cell.column == column]

    def cell(self, column: Column, method: str) -> PageCell | None:
        """One cell, None if no run fills it."""
        return next((cell for cell in self.of(column) if cell.method == method), None)

    def column_title(self, column: Column) -> str:
        """As in leaderboard.md."""
        return self.board.column_title(column)

    def findings(self, column: Column) -> list[str]:
        """What the loader found about a column's data, leaks first."""
        return self.board.findings(column)

    def processors(self) -> list[str]:
        """Which runs were made on another processor than the others."""
        return processor_notes(
            (
                self.column_title(column),
                {
                    cell.title: self.board.cell(self.setup, column, cell.method, MAIN_METRIC)
                    for cell in self.of(column)
                },
            )
            for column in self.columns()
        )


def groups(board: Board) -> list[SetupGroup]:
    """A board's cells by setup; setups, tasks and methods in the order of the tables.

    Raises:
        LampbenchError: scores cannot be read.
    """
    first: dict[tuple[Setup, Column, str], CellScore] = {}
    for record in board.scores:
        first.setdefault((record.setup, record.column, record.method), record)
    made = []
    for setup in board.setups():
        places = [(setup, c, m) for c in board.columns(setup) for m in board.methods()]
        cells = tuple(_cell(first[place]) for place in places if place in first)
        titles = {cell.method: cell.title for cell in cells}
        methods = {method: titles[method] for method in board.methods() if method in titles}
        made.append(SetupGroup(setup, board.section_title(setup), methods, cells, board))
    return made


def scores_of(runs: Sequence[Run]) -> dict[str, Scores]:
    """For each metric that all runs could compute, the mean over runs by (user, query)."""
    measured = score_cell(setup_of(runs[0]), column_of(runs[0]), runs)
    by_name = {record.metric: record for record in measured if record.mean is not None}
    return {metric: by_name[metric].scores for metric in goals() if metric in by_name}


def _cell(record: CellScore) -> PageCell:
    return PageCell(
        setup=record.setup,
        column=record.column,
        method=record.method,
        title=record.method_title,
        synthetic=record.synthetic,
        runs=record.chosen,
        scores=scores_of(record.chosen),
    )
