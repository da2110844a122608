"""The Metric plugin kind: one number for each answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from lampbench.core.registration import mark

Better = Literal["higher", "lower", "neither"]
Value = float | int | bool | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answered query, as metrics see it.

    `text` and `reference` are stripped of outer white space, as LaMP's evaluation does;
    `reference` is None where it is withheld. `truncated` says whether the token budget ended the
    answer, None where it is unknown. `history` are the texts that the user wrote before (the
    targets of the records), None where the data is not at hand.
    """

    user: str
    query: str
    text: str
    reference: str | None
    truncated: bool | None = False
    history: tuple[str, ...] | None = None


class Metric:
    """A number between `low` and `high` (None: no upper end) for each answer.

    Subclasses set `title` and override `score`. `better` says which end is desirable; "neither"
    marks a control that explains scores but is no goal. A metric that `compares` is asked only
    about answers with a reference, one that `reads_history` only where the history is at hand;
    elsewhere the value is null. `digits` are the decimals shown in tables.

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
    batched: ClassVar[bool] = False
    digits: ClassVar[int] = 3

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


M = TypeVar("M", bound=type[Metric])


def register_metric(name: str) -> Callable[[M], M]:
    """Class decorator: register a metric under `name`."""

    def decorate(kind: M) -> M:
        mark(kind, "metric", name)
        return kind

    return decorate
