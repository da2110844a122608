"""Progress of long work: a table or a line, rewritten on a terminal; plain lines otherwise."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from lampbench.util.stage_rows import UNDIVIDED, StagePart, StageRow
from lampbench.util.terminal import REWRITE, message_line, rewrites

if TYPE_CHECKING:
    from lampbench.util.stage_table import StageTable

_INTERVAL = 10.0  # seconds between plain lines
_ONE_TABLE = threading.Lock()
"""Held while a table is open: it replaces the streams of the process until it is closed."""


class Progress:
    """Shows the stage, how much of it is done and the time left.

    On a terminal the line is rewritten in place, or with `tabled` a table of all stages; elsewhere
    a line is printed every `interval` seconds and at the end of a stage.
    """

    def __init__(self, stream: TextIO | None = None, interval: float = _INTERVAL) -> None:
        self._stream = stream or sys.stderr
        self._live = rewrites(self._stream)
        self._interval = 0.1 if self._live else interval
        self._beside = False
        self._stage = ""
        self._unit = ""
        self._total = 0
        self._done = 0.0
        self._began = 0.0
        self._shown = 0.0
        self._place = ("", "")
        self._part = UNDIVIDED
        self.table: StageTable | None = None

    @contextlib.contextmanager
    def tabled(self, rows: Sequence[StageRow]) -> Iterator[None]:
        """Show stages as rows of a table while the context is open, if the terminal can.

        While another table is open in this process, stages are plain lines above that one.
        """
        encoding = (getattr(self._stream, "encoding", None) or "").lower()
        if not self._live or not rows or "utf" not in encoding:
            yield
            return
        from lampbench.util.stage_table import StageTable

        if not _ONE_TABLE.acquire(blocking=False):
            with self._beside_a_table():
                yield
            return
        try:
            with StageTable(rows, self._stream) as self.table:
                yield
        finally:
            self.table = None
            _ONE_TABLE.release()

    @contextlib.contextmanager
    def _beside_a_table(self) -> Iterator[None]:
        before = self._live, self._interval
        self._live, self._interval, self._beside = False, _INTERVAL, True
        try:
            yield
        finally:
            (self._live, self._interval), self._beside = before, False

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if self.table:
            self.table.say(text)
            return
        if self._beside:
            print_message(text)  # to what standard error is now: the lines above the table
            return
        self._stream.write((REWRITE if self._live else "") + message_line(text) + "\n")
        self._stream.flush()

    def start(
        self,
        stage: str,
        total: int,
        unit: str,
        *,
        run: str = "",
        part: StagePart = UNDIVIDED,
        cached: int = 0,
    ) -> None:
        """Begin a stage of `total` units (users, queries).

        `run` is the key of the run that it belongs to, `part` the shard of the units, and `cached`
        counts units of the stage that are done already.
        """  # fmt: skip
        self._stage, self._total, self._unit = stage, total, unit
        self._done = 0.0
        self._began = self._shown = time.monotonic()
        self._place, self._part = (run, stage), part
        if self.table:
            self.table.begin(self._place, part, total, cached)
        elif self._live:
            self._write("")

    def reuse(self, stage: str, cached: int, *, run: str, part: StagePart = UNDIVIDED) -> None:
        """All units of a stage's part are done already: only a table tells so."""
        if self.table:
            self.table.reuse((run, stage), part, cached)

    def update(self, done: float, note: str = "") -> None:
        """Say how many units are done; a fraction counts for a unit that is under way."""
        self._done = max(self._done, done)
        now = time.monotonic()
        if self.table:
            self.table.update(self._place, self._part, done, note)
        elif now - self._shown >= self._interval:
            self._shown = now
            self._write(note)

    def finish(self, note: str = "") -> float:
        """End the stage; returns its seconds."""
        seconds = time.monotonic() - self._began
        if self.table:
            self.table.close(self._place, self._part)
            return seconds
        extra = f", {note}" if note else ""
        self.say(f"{self._stage}: {self._total} {self._unit} in {duration(seconds)}{extra}")
        return seconds

    def _write(self, note: str) -> None:
        elapsed = time.monotonic() - self._began
        # the first of many waits for what all need: models read, prompts laid out
        known = self._done * 20 >= self._total > 0
        left = elapsed / self._done * (self._total - self._done) if known else None
        text = f"{self._stage}: {int(self._done)} of {self._total} {self._unit}"
        text += f", {note}" if note else ""
        text += f", {duration(left)} left" if left is not None else ""
        if self._live:
            self._stream.write(REWRITE + message_line(text))
            self._stream.flush()
        else:
            self.say(text)


def print_message(text: str) -> None:
    """Print a line on standard error, where no progress is shown."""
    print(message_line(text), file=sys.stderr)


def duration(seconds: float) -> str:
    """A duration in words: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
