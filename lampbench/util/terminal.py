"""Text of others on a terminal: control characters are shown, not obeyed; messages are one line.

User ids, titles and model outputs are data. A terminal obeys escape sequences in them: it may
move the cursor, change the window's title or hide lines. An id may also be as long as a book.
"""

import os
import re
import shutil
import sys
from typing import Any, TextIO

LONGEST = 500
"""Characters of a message, whatever it names."""

REWRITE = "\r\x1b[K"
"""Begins a line that takes the place of the one before, as progress does on a terminal."""

# What this program itself sends: bold green for shared words, and the end of it.
_OURS = r"\x1b\[(?:0|1|32)m"
# C0 and C1 controls but tab and newline; marks that reorder, hide or break lines.
_UNSAFE = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]"
)
_FOUND = re.compile(f"({_OURS})|{_UNSAFE}")
_NARROWEST = 20  # columns of a terminal that is taken at its word
_WORDS = (200, 100, 60)  # lengths to which words are shortened, as far as is needed


def visible(text: str) -> str:
    r"""The text with control characters as `\uXXXX`, which JSON reads as the same character."""
    return _FOUND.sub(lambda found: found[1] or _escape(found[0]), text)


def message_line(text: str, most: int = LONGEST) -> str:
    """A message, or a part of it, as one line of at most `most` printable characters.

    Where it is too long, long words such as ids are shortened first, then its middle: what is wrong
    is at the beginning, and what to do about it at the end.
    """
    line = "".join(c if c.isprintable() else _escape(c) for c in " ".join(text.split()))
    for longest in _WORDS:
        if len(line) > most:
            line = " ".join(_shortened(word, longest) for word in line.split(" "))
    return _shortened(line, most)


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none."""
    if not sys.stdout.isatty():
        return None
    return max(shutil.get_terminal_size((80, 24)).columns, _NARROWEST)


def rewrites(stream: TextIO) -> bool:
    """Whether lines of a stream can be written again: a terminal, and no wish for plain lines.

    NO_COLOR, CI and TERM=dumb are such wishes.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI", "").lower() not in _NO
    return stream.isatty() and not plain and os.environ.get("TERM") not in ("dumb", "unknown")


_NO = ("", "0", "false")


def unguarded(stream: TextIO) -> TextIO:
    """The stream behind a `SafeStream`, for what this program draws; others' texts are escaped."""
    return stream.guarded if isinstance(stream, SafeStream) else stream


class SafeStream:
    """A text stream that writes only visible characters to another one.

    `longest`, for a stream of messages, bounds the characters of each line of a write.
    """

    def __init__(self, stream: TextIO, longest: int | None = None) -> None:
        self._stream = stream
        self._longest = longest

    def write(self, text: str) -> int:
        """Write `text`, its control characters made visible and its lines shortened."""
        shown = visible(text)
        if self._longest is not None:
            first = REWRITE if text.startswith(REWRITE) else ""  # at the start it is our own
            lines = visible(text.removeprefix(first)).split("\n")
            shown = first + "\n".join(_shortened(line, self._longest) for line in lines)
        self._stream.write(shown)
        return len(text)

    @property
    def guarded(self) -> TextIO:
        """The stream that it writes to."""
        return self._stream

    def writelines(self, lines: list[str]) -> None:
        """Write every line as `write` does."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _shortened(text: str, most: int) -> str:
    """The text, without its middle where it is longer than `most` characters."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 3]}...{text[-end:]}"
