"""One lock per recorded run, in its results folder: whoever writes the run holds it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lampbench.record.leftovers import put_right
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.lock import hold
from lampbench.util.progress import Progress

LOCKS = ".locks"

_taken = threading.local()
"""`files` are the lock files that this thread holds."""


@contextlib.contextmanager
def run_lock(folder: Path, say: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold the lock of the run that is recorded in `folder`, and put right what a kill left there.

    Waits while another process holds it, and says so through `say` (by default on stderr). A
    thread that holds the lock may take it again.

    Raises:
        LampbenchError: the lock's file cannot be written.
    """
    file = _file(folder)
    held: set[Path] = _taken.__dict__.setdefault("files", set())
    if file in held:
        yield
        return
    results = folder.absolute().parents[3]
    with contextlib.ExitStack() as stack:
        try:
            what = f"run {folder.name} in {results}"
            stack.enter_context(hold(file, what, say or Progress().say))
            with writing(folder):
                put_right(folder)
        except OSError as error:
            raise LampbenchError(
                f"{folder}: cannot be written ({error.strerror}); choose another folder with "
                "--results"
            ) from error
        held.add(file)
        stack.callback(held.discard, file)
        yield


@contextlib.contextmanager
def run_lock_if_free(folder: Path) -> Iterator[bool]:
    """Hold a run's lock if no other process does; yields whether. For readers: never waits."""
    file = _file(folder)
    if file in _taken.__dict__.get("files", ()):
        yield True
        return
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except (Timeout, OSError):  # another process writes, or this one may not
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _file(folder: Path) -> Path:
    path = folder.absolute()
    return path.parents[3] / LOCKS / path.name
