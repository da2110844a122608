"""Intervals of metrics that are no means, such as F1 over all answers or a root of a mean.

Users are resampled with all their answers, and the metric is computed of each resample. The
percentiles are widened for few users as those of means are (Hesterberg 2015, section 4.2). The
scores of several seeds share the draws, and their numbers are averaged as in tables.
"""

import math
from collections.abc import Sequence

import numpy as np

from lampbench.record.runs import Run
from lampbench.report.resampling import SEED
from lampbench.report.statistics import LEVEL, RESAMPLES, Interval
from lampbench.scoring.catalog import find_metric

_FEW = 5
"""With fewer users, resamples reach no further than their own numbers: Student's t interval."""


def pooled_interval(name: str, runs: Sequence[Run]) -> Interval | None:
    """The interval of a metric's number, averaged over runs of different seeds.

    None where there is nothing to resample, or the metric's code is not here.

    Raises:
        LampbenchError: a run's scores cannot be read.
    """
    metric = find_metric(name)
    if metric is None:
        return None
    tables = [_known(run, name) for run in runs]
    places = sorted(set.intersection(*(set(table) for table in tables)))
    owners = np.asarray([user for user, _ in places])
    users, owner = np.unique(owners, return_inverse=True)
    if len(users) == 1:  # of a single user, the queries are drawn
        owner = np.arange(len(places))
    units = int(owner.max()) + 1 if len(places) else 0
    if units < 2:
        return None
    columns = [np.asarray([table[place] for place in places]) for table in tables]

    def number(times: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> float:
        weights = times[owner] / times[owner].sum()
        return float(np.mean([metric.summary(values, weights) for values in columns]))

    rng = np.random.default_rng(SEED)
    drawn = rng.integers(units, size=(RESAMPLES, units))
    numbers = np.asarray([number(np.bincount(row, minlength=units)) for row in drawn])
    reach = _reach(units)
    center = number(np.ones(units, np.int64))
    if units < _FEW:
        far = reach * float(numbers.std(ddof=1))
        return Interval(center, center - far, center + far)
    low, high = np.quantile(numbers, _cuts(reach))
    return Interval(center, float(low), float(high))


def _known(run: Run, name: str) -> dict[tuple[str, str], float]:
    pairs = zip(run.scores.places, run.scores.columns[name], strict=True)
    return {place: float(value) for place, value in pairs if value is not None}


def _reach(units: int) -> float:
    """Half an interval in standard errors of the bootstrap, which are too small by this root."""
    from scipy.special import stdtrit

    return math.sqrt(units / (units - 1)) * float(stdtrit(units - 1, (1 + LEVEL) / 2))


def _cuts(reach: float) -> tuple[float, float]:
    from scipy.special import ndtr

    return float(ndtr(-reach)), float(ndtr(reach))
