"""Intervals of metrics that are not means, such as F1 over all answers or a root of a mean.

Users are resampled with all their answers, by the draws that means have, and the metric is computed
of each resample. The runs of several seeds share the draws, and their numbers are averaged as in
tables.
"""

from collections.abc import Sequence

import numpy as np

from lampbench.record.recorded_run import Run
from lampbench.report.metric_range import within_scores
from lampbench.report.resampling import MOST_DRAWN, Floats, drawn_users
from lampbench.report.statistics import (
    RESAMPLES,
    Interval,
    resampled_interval,
    student_interval,
)
from lampbench.scoring.catalog import find_metric

FOR_AN_ERROR = 1_000
"""How many resamples give a standard error: to 2% of its size."""


def pooled_interval(name: str, runs: Sequence[Run]) -> Interval | None:
    """The interval of a metric's number, averaged over runs of different seeds.

    None where there is nothing to resample, or the metric's code is not here.

    Raises:
        LampbenchError: a run's scores cannot be read.
    """
    metric = find_metric(name)
    if metric is None:
        return None
    tables = [run.query_scores(name) for run in runs]
    first, *others = tables
    places = [place for place in first if all(place in table for table in others)]
    units, owner = _owners([user for user, _ in places])
    if units < 2:
        return None
    columns = [np.asarray([table[place] for place in places]) for table in tables]

    def number(times: Floats) -> float:
        weights = times[owner] / times[owner].sum()
        return float(np.mean([metric.summary(values, weights) for values in columns]))

    def resampled(count: int) -> Floats:
        return np.asarray([number(each) for some in drawn_users(units, count) for each in some])

    if units > MOST_DRAWN:
        error = float(resampled(FOR_AN_ERROR).std(ddof=1))
        found = student_interval(number(np.ones(units)), error, units)
    else:
        found = resampled_interval(number(np.ones(units)), resampled(RESAMPLES), units)
    return within_scores(name, found)


def _owners(users: Sequence[str]) -> tuple[int, "np.ndarray[tuple[int], np.dtype[np.intp]]"]:
    """How many units are drawn, and each query's: its user, or with a single user itself."""
    names, owner = np.unique(np.asarray(users), return_inverse=True)
    if len(names) == 1:
        return len(users), np.arange(len(users))
    return len(names), owner
