"""Ending a process on a signal or after a given time, at a moment when nothing is half done."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from lampbench.util.errors import LampbenchError

_SIGNALS = tuple(
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None
)
_ALARM: int | None = getattr(signal, "SIGALRM", None)
_LONGEST_HOURS = 24 * 365.0

TIME_IS_OVER = 75
"""The exit code when the time of --max-hours is over or a budget is spent (EX_TEMPFAIL of
sysexits.h: try again later).
"""


class Stopped(BaseException):
    """A signal, or the end of the given time, ended the process.

    `code` is the exit code that says so: 128 + the signal's number, or `TIME_IS_OVER`.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = TIME_IS_OVER if number == _ALARM else 128 + number


class _State:
    """How many `unbroken` sections are under way, and the signal that waits for their end."""

    sections = 0
    waiting: int | None = None


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _State.sections and _State.waiting is None:
        _State.waiting = number
        return
    if number == _ALARM and _State.waiting is not None:
        return
    raise Stopped(number)  # a second signal does not wait


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` on SIGINT, SIGTERM and SIGHUP; in the main thread only."""
    before = {}
    for number in _SIGNALS:
        with contextlib.suppress(ValueError):  # not the main thread
            before[number] = signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def checked_hours(hours: float | None) -> float | None:
    """A number of hours after which a process can be ended; None is no limit.

    Raises:
        LampbenchError: the system has no timer signal, or the number of hours is out of range.
    """
    if hours is None:
        return None
    if _ALARM is None:
        raise LampbenchError("--max-hours needs a system with SIGALRM, such as Linux or macOS")
    if not 0 < hours <= _LONGEST_HOURS:
        raise LampbenchError(
            f"--max-hours {hours}: give a number above 0 and up to {_LONGEST_HOURS:,.0f}"
        )
    return hours


@contextlib.contextmanager
def limited(hours: float | None) -> Iterator[None]:
    """Raise `Stopped` after some hours, as a signal does; None sets no limit.

    Raises:
        LampbenchError: as `checked_hours`.
    """
    hours = checked_hours(hours)
    if hours is None or _ALARM is None:
        yield
        return
    before = signal.signal(_ALARM, _on_signal)
    signal.setitimer(signal.ITIMER_REAL, hours * 3600)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(_ALARM, before)


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """A section, such as one training step, after whose end a signal takes effect, not within."""
    _State.sections += 1
    try:
        yield
    finally:
        _State.sections -= 1
        if not _State.sections and _State.waiting is not None:
            number, _State.waiting = _State.waiting, None
            raise Stopped(number)
