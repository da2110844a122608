"""A command in a pseudo-terminal, and what its screen shows."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 240.0
"""Seconds after which a session has failed; nothing is concluded from less."""
_PIECE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b(.)|([\r\n])|([^\x1b\r\n]+)", re.S)


class Screen:
    """The lines of a terminal, those that have left it above too.

    Knows colours, and what moves or erases by lines; whatever else a program sends is an error,
    such as hiding the cursor, which a killed process would leave hidden.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines: list[str] = [""]
        self.row = self.column = 0

    def feed(self, text: str) -> None:
        """Obey what a program has written."""
        for found in _PIECE.finditer(text):
            parameters, final, other, control, plain = found.groups()
            if control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            elif plain:
                for character in plain:
                    self._put(character)
            elif final == "A":
                top = max(len(self.lines) - self.height, 0)
                self.row = max(self.row - int(parameters or 1), top)
            elif final == "K":
                kept = "" if parameters == "2" else self.lines[self.row][: self.column]
                self.lines[self.row] = kept
            else:
                assert final == "m", f"sent {found[0]!r} ({other!r})"

    def _put(self, character: str) -> None:
        assert character.isprintable(), repr(character)
        if self.column == self.width:
            self.column = 0
            self._down()
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    @property
    def text(self) -> str:
        """All lines without blanks at their ends."""
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


class Session:
    """A Python module running in a terminal of its own."""

    def __init__(
        self,
        folder: Path,
        module: str,
        *arguments: str,
        width: int = 80,
        height: int = 40,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = Screen(width, height)
        self.raw = ""
        self._leader, follower = os.openpty()
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(follower, termios.TIOCSWINSZ, size)
        self._before = termios.tcgetattr(follower)
        inherited = {k: v for k, v in os.environ.items() if k not in _SETS_THE_TERMINAL}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=folder, stdin=follower,
            stdout=follower, stderr=follower,
            env={**inherited, "PYTHONPATH": str(ROOT), "TERM": "xterm", **(environment or {})},
        )  # fmt: skip
        self._follower = follower

    def wait_until(self, shown: Callable[[str], bool]) -> str:
        """Read until the screen shows something; its text then."""
        deadline = time.monotonic() + LONGEST
        while not shown(self.screen.text):
            assert time.monotonic() < deadline and self._read(), self.screen.text
        return self.screen.text

    def end(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + LONGEST
        while self.process.poll() is None or select.select([self._leader], [], [], 0)[0]:
            assert time.monotonic() < deadline, self.screen.text
            self._read()
        assert termios.tcgetattr(self._follower) == self._before, "the terminal is as it was"
        os.close(self._follower)
        os.close(self._leader)
        return self.process.returncode

    def _read(self) -> bool:
        """Take what there is; whether there may be more."""
        if select.select([self._leader], [], [], 0.05)[0]:
            text = os.read(self._leader, 65536).decode("utf-8", "replace")
            self.raw += text
            self.screen.feed(text)
            return True
        return self.process.poll() is None


_SETS_THE_TERMINAL = ("CI", "NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "PYTHONPATH")
