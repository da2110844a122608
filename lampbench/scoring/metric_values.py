"""What a metric makes of answers, checked: a number of its range, or None."""

from collections.abc import Iterator, Sequence
from typing import Any

from lampbench.plugin.fault import fault_of_plugin
from lampbench.plugin.metric import Answer, Metric, Value
from lampbench.util.bounds import LARGEST_SCORE
from lampbench.util.errors import LampbenchError, short_repr


def metric_value(metric: Metric, answer: Answer) -> Value:
    """A metric's value for one answer; None where it has not what it reads.

    Raises:
        LampbenchError: the metric failed, or gave what is no number of its range.
    """
    if not _applies(metric, answer):
        return None
    try:
        value = metric.score(answer)
    except LampbenchError:
        raise
    except Exception as error:  # a plugin may fail in any way; the cause is shown
        raise LampbenchError(_failed(metric, answer, error)) from error
    return _checked(metric, answer, value)


def metric_values(metric: Metric, answers: Sequence[Answer]) -> Iterator[Value]:
    """A metric's value for each answer, as in a run: null where it has not what it reads.

    Raises:
        LampbenchError: the metric failed, or gave what is no number of its range.
    """
    if metric.batched:
        yield from _together(metric, answers)
        return
    missing = metric.missing() is not None
    for answer in answers:
        yield None if missing else metric_value(metric, answer)


def _together(metric: Metric, answers: Sequence[Answer]) -> Iterator[Value]:
    """A batched metric's value for each answer."""
    asked = [] if metric.missing() else [one for one in answers if _applies(metric, one)]
    try:
        found = list(metric.scores(asked)) if asked else []
    except LampbenchError:
        raise
    except Exception as error:
        raise LampbenchError(_failed(metric, asked[0], error)) from error
    if len(found) != len(asked):
        raise LampbenchError(
            f"metric {metric.name} gave {len(found)} values for {len(asked)} answers: fix scores()"
        )
    values = iter(found)
    for one in answers:
        has = bool(asked) and _applies(metric, one)
        yield _checked(metric, one, next(values)) if has else None


def _applies(metric: Metric, answer: Answer) -> bool:
    """Whether a metric has what it reads."""
    if metric.compares and answer.reference is None:
        return False
    if metric.reads_choices and not answer.choices:
        return False
    return not metric.reads_history or answer.history is not None


def _failed(metric: Metric, answer: Answer, error: Exception) -> str:
    what = f"metric {metric.name} failed on query {answer.query!r} of {answer.user!r}"
    if told := fault_of_plugin(error):
        return f"{what} {told}"
    return f"{what}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _checked(metric: Metric, answer: Answer, value: Any) -> Value:
    """A value that can be recorded.

    Raises:
        LampbenchError: no number, not finite, or out of the metric's range.
    """
    if value is None:
        return None
    low = max(metric.low, -LARGEST_SCORE)
    high = LARGEST_SCORE if metric.high is None else min(metric.high, LARGEST_SCORE)
    if isinstance(value, (bool, int, float)) and low <= value <= high:  # false for NaN
        return value
    raise LampbenchError(
        f"metric {metric.name} gave {short_repr(value)} for query {answer.query!r} of "
        f"{answer.user!r}: fix it to give a number from {low:g} to {high:g}, or None"
    )
