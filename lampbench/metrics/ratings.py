"""Errors of answers that are numbers on a scale, as in LaMP's evaluation of ratings.

An answer that is no number on the scale counts as the end of the scale that is farther from the
reference, as there; `unparsed` counts these answers. (LaMP's code takes a number beyond the scale
as it is; here it is no answer either, so that one of them cannot outweigh all others.) Source:
Salemi et al. (2024) and the benchmark's `eval/evaluation.py`.
"""

import math
from typing import TYPE_CHECKING

from lampbench.metrics.choices import read_rating
from lampbench.plugin.metric import Answer, Metric, register_metric

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class _Error(Metric):
    better = "lower"
    high = None
    compares = True
    reads_choices = True


@register_metric("mae")
class MeanAbsoluteError(_Error):
    """Distance of the answer from the reference, 0 and up; its mean is the MAE."""

    title = "MAE"

    def score(self, answer: Answer) -> float | None:
        """The absolute error."""
        return distance(answer)


@register_metric("rmse")
class RootMeanSquaredError(_Error):
    """Root of the mean squared error over all answers of a run, 0 and up.

    It is no mean over queries; a query's value is its squared error.
    """

    title = "RMSE"
    summary_range = (0.0, None)

    def score(self, answer: Answer) -> float | None:
        """The squared error."""
        error = distance(answer)
        return None if error is None else error * error

    def summary(self, values: "ArrayLike", weights: "ArrayLike") -> float:
        """The root of the mean."""
        return math.sqrt(super().summary(values, weights))


def distance(answer: Answer) -> float | None:
    """|answer - reference|; None where choices or the reference are no numbers."""
    wanted = read_rating(answer.reference or "", answer.choices)
    if wanted is None:
        return None
    said = read_rating(answer.text, answer.choices)
    if said is not None:
        return abs(said - wanted)
    return max(wanted - float(answer.choices[0]), float(answer.choices[-1]) - wanted)
