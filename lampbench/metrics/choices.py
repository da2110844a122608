"""Answers from a fixed set, as LaMP's evaluation scores them: tags, labels, one of two papers.

An answer counts as a choice if it is written exactly as the task writes it, white space around it
aside. Any other answer is wrong. Source: Salemi et al. (2024) and the benchmark's
`eval/evaluation.py`, which maps every other answer to a class that no reference has.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lampbench.plugin.metric import Answer, Metric, register_metric
from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_PLACES = 1000


@register_metric("accuracy")
class Accuracy(Metric):
    """1 if the answer is the reference, written as it is, otherwise 0."""

    title = "Accuracy"
    better = "higher"
    compares = True

    def score(self, answer: Answer) -> bool:
        """Whether they are equal."""
        return answer.text == answer.reference


@register_metric("macro_f1")
class MacroF1(Metric):
    """F1 of each choice over all answers of a run, averaged over the choices, in [0, 1].

    As scikit-learn's `f1_score(average="macro", labels=all choices)` in LaMP's evaluation: a choice
    that is neither a reference nor an answer counts as 0. It is no mean over queries. A query's
    value is a code that says what the summary needs: with c choices, reference r and answer a
    (places from 1; 0 is an answer that is no choice) it is 1,000,000 c + 1,000 r + a.
    """

    title = "F1 (macro)"
    high = None
    better = "higher"
    compares = True
    reads_choices = True
    summary_range = (0.0, 1.0)

    def score(self, answer: Answer) -> int | None:
        """The code of reference and answer; None for a reference that is no choice.

        Raises:
            LampbenchError: there are more choices than a code can tell apart.
        """
        if len(answer.choices) >= _PLACES:
            raise LampbenchError(
                f"macro_f1 tells at most {_PLACES - 1} choices apart, and the task has "
                f"{len(answer.choices)}; judge it by accuracy"
            )
        wanted = choice_of(answer.reference or "", answer.choices)
        if not wanted:
            return None
        chosen = choice_of(answer.text, answer.choices)
        return (len(answer.choices) * _PLACES + wanted) * _PLACES + chosen

    def summary(self, values: "ArrayLike", weights: "ArrayLike") -> float:
        """Mean over choices of 2 TP / (references + answers).

        Raises:
            ValueError: a value is no code, as in the file of a damaged run.
        """
        import numpy as np

        codes, shares = np.asarray(values).astype(np.int64), np.asarray(weights)
        if codes.min() < _PLACES**2 or codes.max() >= _PLACES**3:
            raise ValueError("a value of macro_f1 is no code of a reference and an answer")
        chosen, wanted = codes % _PLACES, codes // _PLACES % _PLACES
        bins = int(codes.max() // _PLACES**2) + 1
        both = np.bincount(wanted, shares, bins) + np.bincount(chosen, shares, bins)
        hits = np.bincount(wanted, shares * (wanted == chosen), bins)
        found = np.divide(2 * hits, both, out=np.zeros(bins), where=both > 0)
        return float(found[1:].mean())  # place 0 is no choice


@register_metric("unparsed")
class Unparsed(Metric):
    """1 if the answer is none of the task's choices, and so counts as wrong.

    Where the choices are numbers, any number between the lowest and the highest is an answer.
    """

    title = "Unparsed"
    better = "lower"
    reads_choices = True

    def score(self, answer: Answer) -> bool:
        """Whether it cannot be scored as what it says."""
        rated = read_rating(answer.text, answer.choices)
        return not choice_of(answer.text, answer.choices) and rated is None


def choice_of(text: str, choices: Sequence[str]) -> int:
    """The place of a text among the choices, from 1; 0 if it is none of them."""
    return choices.index(text) + 1 if text in choices else 0


def read_rating(text: str, choices: Sequence[str]) -> float | None:
    """The number that an answer says; None if it is none on the scale from first to last choice."""
    try:
        low, high = float(choices[0]), float(choices[-1])
        value = float(text)
    except (ValueError, IndexError):
        return None
    return value if low <= value <= high else None
