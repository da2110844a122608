"""Intervals within what a metric can be.

Of few users, an interval is so wide that it may hold numbers that no mean of the metric can be.
These are left out: the interval then holds the true mean exactly as often, since the true mean is
none of them.
"""

import math
from dataclasses import replace

from lampbench.report.statistics import Interval, Paired, Scores, interval, paired
from lampbench.scoring.catalog import find_metric


def score_interval(metric: str, scores: Scores) -> Interval:
    """The mean of a metric's scores over queries with its 95% interval (`interval`).

    Raises:
        ValueError: no scores.
    """
    return within_scores(metric, interval(scores))


def score_difference(metric: str, ours: Scores, theirs: Scores) -> Paired:
    """A metric's scores minus others on the same queries (`paired`).

    Raises:
        LampbenchError: the two have scores of different queries.
        ValueError: there are none.
    """
    low, high = _ends(metric)
    return difference_of_at_most(high - low, ours, theirs)


def difference_of_at_most(most: float, ours: Scores, theirs: Scores) -> Paired:
    """As `paired`, of scores of which no two differ by more than `most`."""
    found = paired(ours, theirs)
    return replace(found, difference=_within(found.difference, -most, most))


def within_scores(metric: str, found: Interval) -> Interval:
    """An interval of a metric's number without what is below or above the metric's range."""
    return _within(found, *_ends(metric))


def within_differences(metric: str, found: Interval) -> Interval:
    """An interval of a difference of two numbers, which is at most as large as the range."""
    low, high = _ends(metric)
    return _within(found, low - high, high - low)


def _ends(metric: str) -> tuple[float, float]:
    """The ends of a metric's range; infinite where it has none, or the metric is unknown here."""
    known = find_metric(metric)
    if known is None:
        return -math.inf, math.inf
    low, high = known.number_range
    return -math.inf if low is None else low, math.inf if high is None else high


def _within(found: Interval, low: float, high: float) -> Interval:
    # a metric may have had another range when the run was scored
    if not found.bounded or not low <= found.mean <= high:
        return found
    return Interval(found.mean, max(found.low, low), min(found.high, high))
