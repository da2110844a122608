"""Scores as tables show them."""

from lampbench.paper.published import Published
from lampbench.report.cell_scores import CellScore
from lampbench.report.metric_format import metric_digits
from lampbench.report.notes import NO_FIGURE, NO_VALUE
from lampbench.report.table import Cell, Mark, Number


def score_number(score: CellScore, mark: Mark = "") -> Cell:
    """A mean over queries with its interval."""
    digits = metric_digits(score.metric)
    if score.mean is None:
        return NO_VALUE
    interval = score.interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Number(score.mean, digits, low, high, mark)


def user_number(score: CellScore) -> Cell:
    """The mean over users' means with its interval."""
    if score.users_mean is None:
        return NO_VALUE
    interval = score.users_interval
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Number(score.users_mean, metric_digits(score.metric), low, high)


def mean_number(score: CellScore | None) -> Cell:
    """A mean over queries without its interval."""
    if score is None or score.mean is None:
        return NO_VALUE
    return Number(score.mean, metric_digits(score.metric))


def paper_number(figure: Published | None) -> Cell:
    """A figure that the paper prints."""
    return Number(figure.value, noted=bool(figure.note)) if figure else NO_FIGURE


def p_value(p: float) -> Cell:
    """A p-value; one that would be rounded to zero is shown as below 0.001."""
    return "<0.001" if p < 0.0005 else Number(p)
