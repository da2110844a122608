"""Parse JSON text value by value while it is read, however large the file is."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Protocol

CHUNK = 2**20
"""Bytes that are read at once."""

LONGEST_VALUE = 2**27
"""Characters of one value at most: a record of a user's whole history has a few millions."""

_DECODER = json.JSONDecoder()
# Text that is cut inside a number, a word or an escape fails this close to its end.
_NEAR_END = 16
_AHEAD = 64


class MalformedJson(ValueError):
    """What is wrong with the text, and at which character of the file."""


class Readable(Protocol):
    """Where bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """About so many of the next bytes; none at the end."""
        ...


class JsonText:
    """JSON text in UTF-8, parsed from its beginning; what was parsed is let go.

    `chunk` bytes are read at once. All methods raise `MalformedJson`, and what reading the stream
    raises.
    """

    def __init__(self, stream: Readable, chunk: int | None = None) -> None:
        self._stream = stream
        self._chunk = chunk or CHUNK
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False
        self._undecodable = ""

    def next_character(self) -> str:
        """The next character that is not white space, not yet taken; empty at the end."""
        while True:
            ahead = self._text[self._at : self._at + _AHEAD]
            rest = ahead.lstrip(" \t\r\n")
            self._at += len(ahead) - len(rest)
            if rest:
                return rest[0]
            if self._at == len(self._text) and not self._read_more():
                return ""

    def take(self, *expected: str) -> str:
        """Take the next character, which must be one of those."""
        found = self.next_character()
        if found not in expected or not found:
            wanted = " or ".join(map(repr, expected))
            raise self._malformed(f"{wanted} expected, not {found!r}" if found else "it ends early")
        self._at += 1
        return found

    def value(self) -> Any:
        """The next value."""
        self.next_character()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.pos > len(self._text) - _NEAR_END or "Unterminated" in error.msg
                if cut and self._read_more():
                    continue
                self._at = error.pos
                raise self._malformed(error.msg.removesuffix(" at")) from None
            except RecursionError:
                raise self._malformed("nested too deeply") from None
            except ValueError:
                raise self._malformed("a number of thousands of digits") from None
            unfinished = end > len(self._text) - _NEAR_END and isinstance(value, int | float)
            if unfinished and self._read_more():
                continue  # a fraction or more digits may follow
            self._at = end
            return value

    def items(self) -> Iterator[Any]:
        """The values of a list, one at a time."""
        self.take("[")
        if self.next_character() == "]":
            self.take("]")
            return
        while True:
            yield self.value()
            if self.take(",", "]") == "]":
                return

    def members(self) -> Iterator[tuple[str, int | None, Any]]:
        """(name, None, value) for each member of an object; of a list (name, number, item)."""
        self.take("{")
        if self.next_character() == "}":
            self.take("}")
            return
        while True:
            if self.next_character() != '"':
                self.take('"')
            name = self.value()
            self.take(":")
            if self.next_character() == "[":
                for number, item in enumerate(self.items(), 1):
                    yield name, number, item
            else:
                yield name, None, self.value()
            if self.take(",", "}") == "}":
                return

    def _read_more(self) -> bool:
        """Put more text behind what is left; False at the end of the file."""
        if self._undecodable:
            raise self._malformed(self._undecodable)
        if self._ended:
            return False
        left = self._text[self._at :]
        if len(left) > LONGEST_VALUE:
            raise self._malformed(f"a value of more than {LONGEST_VALUE:,} characters")
        data = self._stream.read(max(self._chunk, len(left)))
        self._ended = not data
        self._before += self._at
        self._text, self._at = left + self._decoded(data), 0
        return True

    def _decoded(self, data: bytes) -> str:
        try:
            return self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            self._undecodable = f"not UTF-8 ({error.object[error.start]:#04x})"
            return error.object[: error.start].decode("utf-8-sig" if not self._before else "utf-8")

    def _malformed(self, problem: str) -> MalformedJson:
        return MalformedJson(f"{problem}, at character {self._before + self._at + 1:,}")
