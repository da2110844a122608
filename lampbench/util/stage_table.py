"""The live table of a study's stages on a terminal, with messages above it."""

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TextIO, cast

from rich.cells import cell_len
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lampbench.util.stage_rows import StagePart, StagePlace, StageRow, clock
from lampbench.util.terminal import LONGEST, SafeStream, message_line, unguarded

_WIDE = 64
"""Columns of a terminal below which a row has three cells instead of seven."""
_OTHER_LINES = 4
"""Lines of the screen that rows leave free: head, caption, and some of the messages above."""
_STATE, _NAME, _GAP = len("waiting"), 5, 2
_PER_SECOND = 2
_STYLES = {"running": "bold", "waiting": "dim", "done": "green", "cached": "green"}


class _Console(Console):
    """A console that never hides the cursor: a killed process could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class StageTable:
    """One row per stage, drawn in place while the context is open; what is printed goes above it.

    Where there are more rows than lines on the screen, those around the stage at work are shown.
    """

    def __init__(self, rows: Sequence[StageRow], stream: TextIO) -> None:
        self.rows = list(rows)
        self._places = {(row.run, row.stage): row for row in rows}
        self._console = _Console(file=unguarded(stream), highlight=False, emoji=False)
        self._live = Live(
            console=self._console, get_renderable=self._drawn, refresh_per_second=_PER_SECOND,
            redirect_stdout=False, redirect_stderr=False, vertical_overflow="crop",
        )  # fmt: skip
        self._streams = contextlib.ExitStack()

    def __enter__(self) -> "StageTable":
        self._live.start()
        self._streams.enter_context(self._streams_above())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for row in self.rows:
            row.end()
        self._streams.close()
        self._live.stop()

    @contextlib.contextmanager
    def _streams_above(self) -> Iterator[None]:
        """Let what others print on this terminal appear above the table."""
        before = sys.stdout, sys.stderr

        def above(stream: TextIO, longest: int | None) -> TextIO:
            if not stream.isatty():
                return stream
            proxy = FileProxy(self._console, unguarded(stream))
            return cast(TextIO, SafeStream(cast(TextIO, proxy), longest))

        sys.stdout, sys.stderr = above(before[0], None), above(before[1], LONGEST)
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            sys.stdout, sys.stderr = before

    def say(self, text: str) -> None:
        """Print a line that stays, above the table."""
        self._console.print(Text(message_line(text)), soft_wrap=True)

    def begin(self, place: StagePlace, part: StagePart, missing: int, cached: int) -> None:
        """A part of a row is worked on."""
        self._row(place, missing + cached).begin(time.monotonic(), part, missing, cached)

    def reuse(self, place: StagePlace, part: StagePart, cached: int) -> None:
        """All of a part of a row was there already."""
        self._row(place, cached).reuse(part, cached)

    def update(self, place: StagePlace, part: StagePart, made: float, note: str = "") -> None:
        """So many of a part's missing owners are done."""
        self._places[place].update(part, made, note)

    def close(self, place: StagePlace, part: StagePart) -> None:
        """The work on a part of a row has ended."""
        self._places[place].close(time.monotonic(), part)

    def _row(self, place: StagePlace, total: int) -> StageRow:
        """The row, a new one where no plan foresaw it."""
        if place not in self._places:
            run, _, stage = place[1].rpartition(": ")
            self._places[place] = StageRow(place[0], run, "", stage, total)
            self.rows.append(self._places[place])
        return self._places[place]

    def _drawn(self) -> Table:
        now, size = time.monotonic(), self._console.size
        rows = tuple(self.rows)
        first, shown = _around_the_work(rows, max(size.height - _OTHER_LINES, 1))
        done = sum(row.complete for row in rows)
        where = f" (rows {first + 1} to {first + len(shown)})" if len(shown) < len(rows) else ""
        table = _drawn_rows(shown, size.width, now)
        table.caption = Text(f"{done} of {len(rows)} stages done{where}", style="dim")
        return table


def _around_the_work(rows: Sequence[StageRow], most: int) -> tuple[int, Sequence[StageRow]]:
    """At most so many rows in sequence, with the place of the first: the work is among them."""
    at_work = [place for place, row in enumerate(rows) if not (row.waiting or row.complete)]
    waiting = [place for place, row in enumerate(rows) if row.waiting]
    centre = (at_work or waiting or [len(rows) - 1])[0]
    first = max(min(centre - most // 3, len(rows) - most), 0)
    return first, rows[first : first + most]


def _drawn_rows(rows: Sequence[StageRow], width: int, now: float) -> Table:
    """A line per row: on a wide terminal seven cells, on a narrow one three.

    The narrow ones are the stage with its run, what is done, and the time left or the state. Names
    are shortened where there is no room; numbers are not.
    """
    done = _Column("done", [f"{row.done}/{row.total}" for row in rows], right=True)
    left = _Column("left", [clock(row.left(now)) for row in rows], right=True)
    state = _Column("state", [row.state() for row in rows], least=_STATE)
    if width >= _WIDE:
        columns = [
            _Column("method", [row.method for row in rows], least=_NAME),
            _Column("task", [row.task for row in rows], least=_NAME),
            _Column("stage", [_name(row) for row in rows], least=_NAME),
            done, _Column("elapsed", [clock(row.elapsed(now)) for row in rows], right=True), left,
            state,
        ]  # fmt: skip
    else:
        stages = [f"{_name(row)} {row.method} {row.task}" for row in rows]
        ends = [a or b for a, b in zip(left.cells, state.cells, strict=True)]
        columns = [_Column("stage", stages, least=_NAME), done, _Column("left", ends, least=_STATE)]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), caption_justify="left")
    widths = _fitted(columns, width - _GAP * (len(columns) - 1))
    for column, most in zip(columns, widths, strict=True):
        table.add_column(
            column.head, no_wrap=True, overflow="ellipsis", width=most,
            justify="right" if column.right else "left",
        )  # fmt: skip
    for row, *cells in zip(rows, *(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, cells), style=_style(row))
    return table


class _Column:
    """Cells under a head. Where it may be shortened, `least` says to how few characters."""

    def __init__(
        self, head: str, cells: Sequence[str], *, right: bool = False, least: int | None = None
    ) -> None:
        self.head, self.right = head, right
        self.cells = [message_line(cell) for cell in cells]
        self.full = max([cell_len(head), *map(cell_len, self.cells)])
        self.least = self.full if least is None else min(least, self.full)


def _fitted(columns: Sequence[_Column], room: int) -> list[int]:
    """Widths of columns within `room`: those that may be shortened give way, the widest first."""
    widths = [column.full for column in columns]
    while sum(widths) > room:
        able = [n for n, column in enumerate(columns) if widths[n] > column.least]
        if not able:
            break
        widths[max(able, key=lambda n: widths[n])] -= 1
    return widths


def _name(row: StageRow) -> str:
    return row.stage.rpartition(": ")[2]


def _style(row: StageRow) -> str:
    return _STYLES.get(row.state().partition(",")[0], "red" if row.complete else "")
