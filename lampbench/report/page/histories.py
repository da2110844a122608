"""Scores against the number of past records of each user: a line per method, a plot per task."""

from collections.abc import Sequence

from lampbench.report.histories import HistoryLength, HistorySeries
from lampbench.report.page import plots
from lampbench.report.page.cells import SetupGroup
from lampbench.report.page.plots import PlottedValue
from lampbench.report.page.sections import MAIN, Figure
from lampbench.report.statistics import interval
from lampbench.report.tables.history import history_board


def records_per_user(group: SetupGroup, series: Sequence[HistorySeries]) -> list[Figure]:
    """ROUGE-L by number of records, one plot per task that has runs on cut histories."""
    board = history_board(series)
    order = board.methods()
    figures = []
    for column in board.columns(group.setup):
        members = [one for one in series if (one.setup, one.column) == (group.setup, column)]
        members.sort(key=lambda one: order.index(one.method))
        rows = [
            (board.method_title(one.method), marks) for one in members if (marks := _marks(one))
        ]
        if rows:
            figures.append(_figure(board.column_title(column), members, rows))
    return figures


def _figure(
    title: str,
    members: Sequence[HistorySeries],
    rows: Sequence[tuple[str, Sequence[PlottedValue]]],
) -> Figure:
    lengths = {one.most: one.shown for each in members for one in each.lengths}
    places = [lengths[most] for most in sorted(lengths, key=lambda m: (m is None, m or 0))]
    said = "; ".join(
        f"{method}: " + ", ".join(f"{mark.label} records give {mark.value:.3f}" for mark in marks)
        for method, marks in rows
    )
    return Figure(title, plots.lines(rows, places, "ROUGE-L", f"ROUGE-L by records: {said}"))


def _marks(series: HistorySeries) -> list[PlottedValue]:
    return [mark for one in series.lengths if (mark := _mark(one)) is not None]


def _mark(length: HistoryLength) -> PlottedValue | None:
    score = length.scores.get(MAIN)
    if score is None or not score.scores:
        return None
    found = interval(score.scores)
    return PlottedValue(length.shown, found.mean, found.low, found.high)
