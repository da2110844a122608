"""The Metric plugin kind: one number for each answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from lampbench.core.registration import mark

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Better = Literal["higher", "lower", "neither"]
Value = float | int | bool | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answered query, as metrics see it.

    `text` and `reference` are stripped of outer white space, as LaMP's evaluation does;
    `reference` is None where it is withheld. `truncated` says whether the token budget ended the
    answer, None where it is unknown. `history` are the texts that the user wrote before (the
    targets of the records), None where the data is not at hand. `choices` are the task's possible
    answers, empty where any text may be one.
    """

    user: str
    query: str
    text: str
    reference: str | None
    truncated: bool | None = False
    history: tuple[str, ...] | None = None
    choices: tuple[str, ...] = ()


class Metric:
    """A number between `low` and `high` (None: no upper end) for each answer.

    Subclasses set `title` and override `score`. `better` says which end is desirable; "neither"
    marks a control that explains scores but is no goal. A metric that `compares` is asked only
    about answers with a reference, one that `reads_history` only where the history is at hand, one
    that `reads_choices` only on tasks that have a fixed set of answers; elsewhere the value is
    null. `digits` are the decimals shown in tables.

    The number of a run is the mean of its answers' numbers. A metric that is no mean (a root, an
    F1 over all answers) overrides `summary`; its `score` then gives what the summary needs of one
    answer, and `summary_range` says which numbers the summary can be, (lowest, highest), each None
    for no end. It has no mean over users, and is shown with an interval but without tests.

    A metric runs in several processes at once; one that is `batched` runs in one and gets all
    answers together (`scores`), for models and services.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    low: ClassVar[float] = 0.0
    high: ClassVar[float | None] = 1.0
    better: ClassVar[Better] = "neither"
    compares: ClassVar[bool] = False
    reads_history: ClassVar[bool] = False
    reads_choices: ClassVar[bool] = False
    batched: ClassVar[bool] = False
    digits: ClassVar[int] = 3
    summary_range: ClassVar[tuple[float | None, float | None]] = (None, None)

    def missing(self) -> str | None:
        """None if the metric can be computed here, or what is missing and how to get it."""
        return None

    def signature(self) -> str:
        """What the numbers depend on besides the texts (version, model); recorded with the run."""
        return ""

    def score(self, answer: Answer) -> Value:
        """The number for one answer; None where it is not defined."""
        raise NotImplementedError

    def scores(self, answers: Sequence[Answer]) -> Iterator[Value]:
        """The number for each answer, in order."""
        yield from map(self.score, answers)

    def summary(self, values: "ArrayLike", weights: "ArrayLike") -> float:
        """The number of a run, from the numbers of its answers; by default their mean.

        `weights` are each answer's share and add up to 1. They are equal for a run; resampling
        for an interval gives others. Both are lists or arrays of one length.
        """
        import numpy as np

        return float(np.dot(values, weights))

    @property
    def pooled(self) -> bool:
        """Whether the number of a run is no mean of its answers' numbers."""
        return type(self).summary is not Metric.summary

    @property
    def number_range(self) -> tuple[float | None, float | None]:
        """The lowest and the highest number that a run can have; None for no end."""
        return self.summary_range if self.pooled else (self.low, self.high)


M = TypeVar("M", bound=type[Metric])


def register_metric(name: str) -> Callable[[M], M]:
    """Class decorator: register a metric under `name`."""

    def decorate(kind: M) -> M:
        mark(kind, "metric", name)
        return kind

    return decorate
