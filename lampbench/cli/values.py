"""What options and arguments accept: whole numbers and numbers within bounds, texts of one line."""

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from lampbench.util.bounds import LARGEST_COUNT, LARGEST_SEED, LONGEST_NAME, LONGEST_TEXT
from lampbench.util.errors import suggestion
from lampbench.util.terminal import visible

if TYPE_CHECKING:
    _Whole = click.ParamType[int]
    _Number = click.ParamType[float]
    _Text = click.ParamType[str]
    _Choice = click.Choice[str]
else:
    _Whole = _Number = _Text = click.ParamType
    _Choice = click.Choice

_DIGITS = re.compile(r"[+-]?[0-9]{1,30}")
_SHOWN = 40  # characters of a refused value that are shown


class WholeNumber(_Whole):
    """A whole number from `low` to `high`, in ordinary digits."""

    name = "integer"
    instead = ""  # what is allowed in place of a number

    def __init__(self, low: int = 1, high: int = LARGEST_COUNT) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The number.

        Raises:
            click.BadParameter: it is none, or out of bounds.
        """
        text = str(value)
        if not _DIGITS.fullmatch(text) or not self.low <= int(text) <= self.high:
            bounds = f"from {self.low} to {self.high:,}{self.instead}"
            self.fail(f"{_brief(text)} is not a whole number {bounds}.", param, ctx)
        return int(text)


class CacheDir(click.Path):
    """A folder, or the URL of a store, which becomes the folder of its local copies."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The folder.

        Raises:
            click.BadParameter: it is a file.
            LampbenchError: it is no sensible URL.
        """
        from lampbench.execution.remote_folder import cache_folder, is_url

        if isinstance(value, str) and is_url(value):
            return cache_folder(value)
        return super().convert(value, param, ctx)


class CountOrAll(WholeNumber):
    """A whole number of at least 1, or `all`, which becomes None."""

    name = "count"
    instead = ", or all"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The number, None for `all`.

        Raises:
            click.BadParameter: it is neither.
        """
        return None if str(value) == "all" else super().convert(value, param, ctx)


class Number(_Number):
    """A finite number from `low` (without `low` itself, where `above`) to `high`."""

    name = "number"

    def __init__(self, low: float, high: float, *, above: bool = False) -> None:
        self.low, self.high, self.above = low, high, above

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number.

        Raises:
            click.BadParameter: it is none, or out of bounds.
        """
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not self.low <= number <= self.high or (self.above and number == self.low):
            bounds = f"{'above' if self.above else 'from'} {self.low:g} to {self.high:,g}"
            self.fail(f"{_brief(str(value))} is not a number {bounds}.", param, ctx)
        return number


class OneOf(_Choice):
    """A choice of words; another word is answered with the nearest one."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The word.

        Raises:
            click.BadParameter: it is none of them.
        """
        if value not in self.choices:
            hint = suggestion(str(value), [str(choice) for choice in self.choices])
            self.fail(f"there is no {_brief(str(value))}: {hint}", param, ctx)
        return super().convert(value, param, ctx)


class RecordedName(_Text):
    """A name or title that manifests record and tables show."""

    name = "text"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """The name.

        Raises:
            click.BadParameter: it is too long, or is nothing but blanks.
        """
        text = str(value)
        if not text.strip():
            self.fail("is empty; give a name.", param, ctx)
        if len(text) > LONGEST_NAME:
            self.fail(
                f"{_brief(text)} is too long: {len(text):,} characters, {LONGEST_NAME} at most.",
                param, ctx,
            )  # fmt: skip
        return text


COUNT = WholeNumber()
SEED = WholeNumber(0, LARGEST_SEED)


def wrong_text(text: str, path: bool) -> str | None:
    """Why a text is no value of an option, whatever the option; None for one that may be.

    A `path` may hold bytes that are not UTF-8, which Python keeps as surrogates.
    """
    if not text:
        return "is empty; give a value, or leave the option out."
    if len(text) > LONGEST_TEXT:
        return f"{_brief(text)} is too long: {len(text):,} characters, {LONGEST_TEXT:,} at most."
    if "\n" in text or "\t" in text or visible(text) != text or "\x1b" in text:
        return f"{_brief(text)} has a line break or a control character; give one line of text."
    if not path and any("\ud800" <= c <= "\udfff" for c in text):
        return f"{_brief(text)} is not UTF-8; give a text in UTF-8."
    return None


def texts_of(value: Any) -> Iterable[str]:
    """The texts among the values of an option, which may be repeated."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_of(one)


def _brief(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
