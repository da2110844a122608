"""A lock in parts: processes with different parts of the same work hold it at the same time."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lampbench.util.disk import writing
from lampbench.util.lock import describe_holder, hold, note_holder
from lampbench.util.progress import duration

_QUIET = 1.0  # seconds of waiting that are not worth a message
_AGAIN = 60.0  # seconds until the message is repeated
_LONGEST_PAUSE = 2.0  # seconds between two looks


@contextlib.contextmanager
def hold_part(
    file: Path, part: int, parts: int, what: str, say: Callable[[str], object]
) -> Iterator[None]:
    """Hold one of several parts of the lock on `file`; the whole lock is part 0 of 1.

    Waits, and says for whom, while another process holds the same part, or any part of another
    division: which of these overlap is not known here. The system releases the lock of a process
    that dies.

    Args:
        file: the lock's file; each part is a file beside it.
        part: which part, from 0.
        parts: how many there are.
        what: what the lock protects, for the message.
        say: where messages go.

    Raises:
        FullDisk: the disk is full.
    """
    own = file.with_name(f"{file.name}.{part}-of-{parts}")
    began = said = time.monotonic()
    patience = _QUIET
    while True:
        with hold(file, what, say):
            busy = _held(file, own, parts)
            if busy is None:
                lock = FileLock(own)
                with writing(own):
                    lock.acquire(timeout=0)
                    note_holder(own)
                break
        now = time.monotonic()
        if now - said >= patience:
            waited = duration(now - began)
            say(f"waiting for {what}: {describe_holder(busy)}; waited {waited} so far")
            said, patience = now, _AGAIN
        time.sleep(min(_LONGEST_PAUSE, 0.05 + (now - began) / 10))
    try:
        yield
    finally:
        note_holder(own, gone=True)
        lock.release()


def any_part_is_held(file: Path) -> bool:
    """Whether a process holds a part of the lock, of whatever division; for who holds `file`."""
    return _held(file, file.with_name(f"{file.name}.0-of-0"), 0) is not None


def _held(file: Path, own: Path, parts: int) -> Path | None:
    """A part that is held and with which `own` must not be held at the same time."""
    division = re.compile(rf"{re.escape(file.name)}\.\d+-of-(\d+)")
    others = [
        path
        for path in file.parent.iterdir()
        if (found := division.fullmatch(path.name)) and int(found[1]) != parts
    ]
    for path in (own, *others) if parts else others:
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            return path
    return None
