"""Sensitivity: runs that differ from the defaults in one setting, beside the default."""

from collections.abc import Sequence

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.metric_format import MAIN_METRIC
from lampbench.report.metric_range import score_interval
from lampbench.report.page import plots
from lampbench.report.page.cells import SetupGroup
from lampbench.report.page.plots import PlottedValue
from lampbench.report.page.sections import Figure
from lampbench.report.sweeps import Sweep


def sensitivity(group: SetupGroup, swept: Sequence[Sweep]) -> list[Figure]:
    """ROUGE-L at each value of a sweep but those over the penalty, one plot per sweep of two
    values or more.
    """
    shown = [s for s in swept if s.setup == group.setup and s.path != cast().penalty.parameter]
    figures = [_figure(group.board, sweep) for sweep in shown]
    return [figure for figure in figures if figure is not None]


def _figure(board: Board, sweep: Sweep) -> Figure | None:
    marks = plotted_values(sweep, MAIN_METRIC)
    if len(marks) < 2:
        return None
    title = f"{board.method_title(sweep.method)}, {board.column_title(sweep.column)}: {sweep.path}"
    said = "; ".join(f"{mark.label} gives {mark.value:.3f}" for mark in marks)
    return Figure(title, plots.series(marks, "ROUGE-L", f"ROUGE-L by {sweep.path}: {said}"))


def plotted_values(sweep: Sweep, metric: str) -> list[PlottedValue]:
    """A sweep's scores with their intervals, by value; the default is noted."""
    marks = []
    for point in sweep.points:
        score = point.scores.get(metric)
        if score and score.scores:
            found = score_interval(metric, score.scores)
            note = "default" if point.default else ""
            marks.append(PlottedValue(point.shown, found.mean, found.low, found.high, note))
    return marks
