"""Scores as tables show them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lampbench.paper.published import Published
from lampbench.report.cell_scores import CellScore
from lampbench.report.metric_format import metric_digits
from lampbench.report.notes import NO_FIGURE, NO_VALUE
from lampbench.report.table import Cell, Mark, Number

if TYPE_CHECKING:
    from lampbench.report.statistics import Interval


def score_number(score: CellScore, mark: Mark = "") -> Cell:
    """A mean over queries with its interval."""
    return _number(score, score.mean, score.interval, mark)


def user_number(score: CellScore) -> Cell:
    """The mean over users' means with its interval."""
    return _number(score, score.users_mean, score.users_interval)


def mean_number(score: CellScore | None) -> Cell:
    """A mean over queries without its interval."""
    return _number(score, score.mean) if score else NO_VALUE


def _number(
    score: CellScore, mean: float | None, interval: "Interval | None" = None, mark: Mark = ""
) -> Cell:
    if mean is None:
        return NO_VALUE
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Number(mean, metric_digits(score.metric), low, high, mark)


def difference_number(found: "Interval", digits: int = 3, scale: float = 1.0) -> Number:
    """A difference times `scale`, signed, with its interval where it has one."""
    low, high = (scale * found.low, scale * found.high) if found.bounded else (None, None)
    return Number(scale * found.mean, digits, low, high, signed=True)


def in_points(found: "Interval", digits: int = 2) -> Number:
    """A difference in points of 0.01 with its interval."""
    return difference_number(found, digits, 100.0)


def span(differences: Iterable[float], digits: int = 3) -> str:
    """The lowest and the highest of some differences."""
    ordered = sorted(differences)
    ends = (Number(end, digits, signed=True).text() for end in (ordered[0], ordered[-1]))
    return " to ".join(ends)


def paper_number(figure: Published | None) -> Cell:
    """A figure that the paper prints."""
    return Number(figure.value, noted=bool(figure.note)) if figure else NO_FIGURE


def p_value(p: float) -> Cell:
    """A p-value; one that would be rounded to zero is shown as below 0.001."""
    return "<0.001" if p < 0.0005 else Number(p)
