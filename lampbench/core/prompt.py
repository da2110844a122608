"""A prompt as pieces, each with a rank that says what is shortened first when it is too long."""

import string
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the prompt's text.

    `shrink` 0 is never shortened (instructions, markers). Higher ranks are shortened first, from
    their end; among equal ranks the last piece goes first.
    """

    text: str
    shrink: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A system instruction and a user message; the engine applies the chat template."""

    system: str
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """The whole user message."""
        return "".join(piece.text for piece in self.pieces)

    def before(self, *pieces: Piece) -> "Prompt":
        """The same prompt with `pieces` put before the user message."""
        return Prompt(self.system, (*pieces, *self.pieces))


def fill(template: str, fields: Mapping[str, str], shrink: Mapping[str, int]) -> tuple[Piece, ...]:
    """Fill the `{name}` fields of a template, each a piece with its rank in `shrink` (default 0).

    Field text is data: braces in it are kept as they are.

    Raises:
        KeyError: the template names a field that is not given.
    """
    pieces: list[Piece] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        if literal:
            pieces.append(Piece(literal))
        if name is not None:
            pieces.append(Piece(fields[name], shrink.get(name, 0)))
    return tuple(pieces)
