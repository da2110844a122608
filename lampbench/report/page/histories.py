"""Scores against the number of past records of each user: a line per method, a plot per task."""

from collections.abc import Sequence

from lampbench.report.histories import HistoryLength, HistorySeries
from lampbench.report.metric_format import MAIN_METRIC
from lampbench.report.metric_range import score_interval
from lampbench.report.page import plots
from lampbench.report.page.cells import SetupGroup
from lampbench.report.page.plots import PlottedValue
from lampbench.report.page.sections import Figure
from lampbench.report.tables.history import history_board


def records_per_user(group: SetupGroup, series: Sequence[HistorySeries]) -> list[Figure]:
    """ROUGE-L by number of records, one plot per task that has runs on cut histories."""
    board = history_board(series)
    figures = []
    for column in board.columns(group.setup):
        members = [one for one in series if (one.setup, one.column) == (group.setup, column)]
        rows, places = history_lines(members)
        if rows:
            figures.append(_figure(board.column_title(column), rows, places))
    return figures


def history_lines(
    series: Sequence[HistorySeries],
) -> tuple[list[tuple[str, Sequence[PlottedValue]]], list[str]]:
    """For `plots.lines`: each method's ROUGE-L by number of records, and all these numbers."""
    board = history_board(series)
    order = board.methods()
    lengths = {one.most: one.shown for each in series for one in each.lengths}
    places = [lengths[most] for most in sorted(lengths, key=lambda m: (m is None, m or 0))]
    ordered = sorted(series, key=lambda one: order.index(one.method))
    rows = [(board.method_title(one.method), _marks(one)) for one in ordered]
    return [(title, marks) for title, marks in rows if marks], places


def _figure(
    title: str, rows: Sequence[tuple[str, Sequence[PlottedValue]]], places: Sequence[str]
) -> Figure:
    said = "; ".join(
        f"{method}: " + ", ".join(f"{mark.label} records give {mark.value:.3f}" for mark in marks)
        for method, marks in rows
    )
    return Figure(title, plots.lines(rows, places, "ROUGE-L", f"ROUGE-L by records: {said}"))


def _marks(series: HistorySeries) -> list[PlottedValue]:
    return [mark for one in series.lengths if (mark := _mark(one)) is not None]


def _mark(length: HistoryLength) -> PlottedValue | None:
    score = length.scores.get(MAIN_METRIC)
    if score is None or not score.scores:
        return None
    found = score_interval(MAIN_METRIC, score.scores)
    return PlottedValue(length.shown, found.mean, found.low, found.high)
