"""Scores against the repetition penalty: a line per method, a plot per task and metric."""

from collections.abc import Sequence

from lampbench.report.board import Board
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.page import plots
from lampbench.report.page.cells import SetupGroup
from lampbench.report.page.plots import PlottedValue
from lampbench.report.page.sections import Figure
from lampbench.report.page.sweeps import plotted_values
from lampbench.report.sweeps import Sweep
from lampbench.report.tables.penalty import penalty_sweeps


def penalties(group: SetupGroup, swept: Sequence[Sweep]) -> list[Figure]:
    """ROUGE-1 and ROUGE-L by penalty, for each task that has runs with several penalties."""
    found = [sweep for sweep in penalty_sweeps(swept) if sweep.setup == group.setup]
    figures = []
    for column in sorted({sweep.column for sweep in found}):
        members = [sweep for sweep in found if sweep.column == column]
        for metric in PAPER_METRICS:
            title = f"{group.board.column_title(column)}: {metric_title(metric)}"
            figures += _figure(group, title, members, metric)
    return figures


def _figure(group: SetupGroup, title: str, members: Sequence[Sweep], metric: str) -> list[Figure]:
    rows, places = penalty_lines(group.board, members, metric)
    if not rows:
        return []
    said = "; ".join(
        f"{method}: " + ", ".join(f"{mark.label} gives {mark.value:.3f}" for mark in marks)
        for method, marks in rows
    )
    name = metric_title(metric)
    return [Figure(title, plots.lines(rows, places, name, f"{name} by repetition penalty: {said}"))]


def penalty_lines(
    board: Board, members: Sequence[Sweep], metric: str
) -> tuple[list[tuple[str, list[PlottedValue]]], list[str]]:
    """For `plots.lines`: each method's scores by penalty, and all penalties."""
    rows = [
        (board.method_title(one.method), marks)
        for one in members
        if len(marks := plotted_values(one, metric)) > 1
    ]
    shown = {point.value: point.shown for sweep in members for point in sweep.points}
    return rows, [shown[value] for value in sorted(shown)]
