"""`lampbench browse`: leaf through recorded answers in a terminal."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lampbench.cli import shared_options as options
from lampbench.cli.command import Command
from lampbench.paper.cast import cast as cast_of_paper
from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    from lampbench.report.board import Board
    from lampbench.report.example_answers import AnsweredQuery, Pick
    from lampbench.report.given_runs import ShownTogether

PICKS: Sequence["Pick"] = ("drawn", "gain", "loss", "median")
KEYS = "n next · p previous · o order · d data · q quit"
_NEXT, _PREVIOUS = ("n", " ", "\r", "\x1b[C", "\x1b[B"), ("p", "\x7f", "\x1b[D", "\x1b[A")
_QUIT = ("q", "\x1b", "\x03", "\x04")
EVERY = 10**9
"""As many queries as there are."""


@click.command(cls=Command)
@options.side_by_side(cast_of_paper().examples)
@options.results
def browse(
    task: str | None,
    methods: tuple[str, ...],
    model: str | None,
    keys: tuple[str, ...],
    results: Path,
) -> None:
    """Leaf through recorded answers of several methods in a terminal, one query at a time.

    Words that an answer shares with the user's own text are marked. n and p go on and back, o
    changes the order (drawn at random, largest gains or losses of the last method, median), d
    goes to the next data that the methods answered, q quits. `lampbench examples` prints the same
    for files and pipes.
    """
    from rich.console import Console

    from lampbench.cli.recorded_runs import chosen_runs
    from lampbench.report.example_screen import example_screen, print_screen

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise LampbenchError(
            "browse needs a terminal; `lampbench examples` prints answers to a file or a pipe"
        )
    board, together = chosen_runs(results, keys, task, methods, model)
    # texts are made visible one by one: the stream around would escape the styles too
    console = Console(file=cast(Any, sys.__stdout__), highlight=False)
    pages = Pages(board, together, results)
    at: Position | None = Position()
    while at is not None:
        shown = pages.at(at)
        print_screen(console, example_screen(shown, pages.title(at), KEYS))
        at = moved(at, click.getchar(), len(pages.queries(at)), len(together))


@dataclass(frozen=True, slots=True)
class Position:
    """What is on the screen: a query, in an order, of some data."""

    query: int = 0
    order: int = 0
    data: int = 0


def moved(at: Position, key: str, queries: int, datasets: int) -> Position | None:
    """Where a key leads; None: to the end. Unknown keys lead nowhere."""
    if key in _QUIT:
        return None
    if key in _NEXT:
        return Position(min(at.query + 1, queries - 1), at.order, at.data)
    if key in _PREVIOUS:
        return Position(max(at.query - 1, 0), at.order, at.data)
    if key == "o":
        return Position(0, (at.order + 1) % len(PICKS), at.data)
    if key == "d":
        return Position(0, at.order, (at.data + 1) % datasets)
    return at


class Pages:
    """The queries of each data in each order, put together when they are first asked for."""

    def __init__(self, board: "Board", together: Sequence["ShownTogether"], results: Path) -> None:
        self._board, self._together, self._results = board, together, results
        self._made: dict[tuple[int, int], list[AnsweredQuery]] = {}

    def queries(self, at: Position) -> list["AnsweredQuery"]:
        """The queries in the order of a position.

        Raises:
            LampbenchError: there is none.
        """
        from lampbench.report.example_answers import answered_queries

        if (at.data, at.order) not in self._made:
            one = self._together[at.data]
            found = answered_queries(
                self._board, one.column, one.setup, one.methods, PICKS[at.order], EVERY
            )
            if not found and at.order:  # no scores differ: in the order of the draw
                found = self.queries(Position(data=at.data))
            if not found:
                raise LampbenchError(f"{self._results}: these methods share no query")
            self._made[at.data, at.order] = found
        return self._made[at.data, at.order]

    def at(self, at: Position) -> "AnsweredQuery":
        """The query of a position."""
        return self.queries(at)[at.query]

    def title(self, at: Position) -> str:
        """Where one is: data, order, and which of how many queries."""
        one = self._together[at.data]
        where = f"{self._board.column_title(one.column)}, {self._board.section_title(one.setup)}"
        return f"{where} · {PICKS[at.order]} · {at.query + 1} of {len(self.queries(at))}"
