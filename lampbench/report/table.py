"""A table before it has a format: texts, and numbers with their intervals and marks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Mark = Literal["", "best", "near"]
"""`best` of its column; `near`: not significantly worse than the best."""

NEAR = "≈"


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is shown: rounded to `digits` decimals, with a sign where it is `signed`.

    `low` and `high` are the ends of its interval, None where it has none. Where it is `noted`, a
    note under the table that begins with an asterisk explains it.
    """

    value: float
    digits: int = 3
    low: float | None = None
    high: float | None = None
    mark: Mark = ""
    noted: bool = False
    signed: bool = False

    def text(self) -> str:
        """The number alone."""
        return self._rounded(self.value)

    def interval(self) -> str:
        """The interval in brackets, nothing where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"[{self._rounded(self.low)}, {self._rounded(self.high)}]"

    def _rounded(self, value: float) -> str:
        # -0.0004 to three decimals is 0.000, and has no sign
        rounded = round(value, self.digits) + 0.0
        return f"{rounded:{'+' if self.signed and rounded else ''}.{self.digits}f}"


Cell = str | Number


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready to be shown. The first `labels` columns hold text, the others numbers.

    Texts are plain; each format escapes what it must. `entries` gives the same content for
    programs, one mapping of JSON values per cell that holds a number of ours or of the paper's.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    labels: int = 1
    notes: tuple[str, ...] = ()
    entries: Callable[[], Sequence[Mapping[str, Any]]] = tuple


@dataclass(frozen=True, slots=True)
class Section:
    """Tables under one heading, which may be empty."""

    title: str
    tables: tuple[Table, ...]


def one_line(text: str) -> str:
    """Text from a run as one line of printable characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shortened(text: str, most: int) -> str:
    """The beginning of a text from a run, on one line of at most that many characters."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most - 3]}..."
