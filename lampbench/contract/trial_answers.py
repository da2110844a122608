"""The answers that metrics are tried on: made up, the same in every process."""

from collections.abc import Sequence

from lampbench.plugin.metric import Answer, Metric, Value
from lampbench.scoring.metric_values import metric_values

_TEXTS = (
    ("the old bridge is closed", "the old bridge was closed on monday"),
    ("the old bridge is closed", "the old bridge is closed"),
    ("", "a reference"),
    ("an answer", ""),
    ("word " * 300, "word word"),
    ("naïve 東京 🙂 {x} <b>", "naïve 東京 🙂 {x} <b>"),
    ("short", "a bridge in the old town is open"),
    ("one", "two"),
)
_HISTORIES = (("the old town", "a bridge in the old town is closed"), (), ("one",))


def trial_answers() -> list[Answer]:
    """Answers of every kind: equal to the reference, empty, long, without history."""
    return [
        Answer(f"user{i % 3}", f"q{i}", text.strip(), reference, i % 2 == 0, _HISTORIES[i % 3])
        for i, (text, reference) in enumerate(_TEXTS)
    ]


def trial_values(metric: Metric, answers: Sequence[Answer] | None = None) -> list[Value]:
    """The metric's values, checked as in a run.

    Raises:
        LampbenchError: the metric failed, or gave no number of its range.
    """
    return list(metric_values(metric, trial_answers() if answers is None else answers))
