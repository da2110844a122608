"""A prompt as pieces, so that what is too long is shortened where the task says, and only there."""

import string
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of prompt text.

    `shrink` 0 is never shortened (instructions, markers). Higher ranks are shortened first, from
    their end; among equal ranks the last piece goes first.
    """

    text: str
    shrink: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """A system instruction and a user message; the chat template is the engine's business."""

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
    """Fill `{name}` places of a template, each a piece with its rank in `shrink` (default 0).

    Field text is data: braces in it are kept as they are.

    Raises:
        KeyError: a place of the template has no field.
    """
    pieces: list[Piece] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        if literal:
            pieces.append(Piece(literal))
        if name is not None:
            pieces.append(Piece(fields[name], shrink.get(name, 0)))
    return tuple(pieces)
