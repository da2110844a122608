"""Ending a process on a signal, at a moment when nothing is half done."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = tuple(
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None
)


class Stopped(BaseException):
    """A signal asked the process to end; `code` is the exit code that says so (128 + number)."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class _State:
    """How many `unbroken` sections are under way, and the signal that waits for their end."""

    sections = 0
    waiting: int | None = None


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _State.sections and _State.waiting is None:
        _State.waiting = number
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
