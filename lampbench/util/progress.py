"""Progress of long work: one line rewritten on a terminal, plain lines otherwise."""

import sys
import time
from typing import TextIO

from lampbench.util.terminal import REWRITE, message_line


class Progress:
    """Shows the stage, how much of it is done and the time left.

    On a terminal the line is rewritten in place; elsewhere a line is printed every `interval`
    seconds and at the end of a stage.
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._interval = 0.1 if self._live else interval
        self._stage = ""
        self._unit = ""
        self._total = 0
        self._done = 0.0
        self._began = 0.0
        self._shown = 0.0

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._stream.write((REWRITE if self._live else "") + message_line(text) + "\n")
        self._stream.flush()

    def start(self, stage: str, total: int, unit: str) -> None:
        """Begin a stage of `total` units (users, queries)."""
        self._stage, self._total, self._unit = stage, total, unit
        self._done = 0.0
        self._began = self._shown = time.monotonic()
        if self._live:
            self._write("")

    def update(self, done: float, note: str = "") -> None:
        """Say how many units are done; a fraction counts for a unit that is under way."""
        self._done = max(self._done, done)
        now = time.monotonic()
        if now - self._shown >= self._interval:
            self._shown = now
            self._write(note)

    def finish(self, note: str = "") -> float:
        """End the stage; returns its seconds."""
        seconds = time.monotonic() - self._began
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
