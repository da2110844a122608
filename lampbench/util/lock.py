"""Locks between processes that say for whom they wait."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lampbench.util.disk import writing
from lampbench.util.progress import duration
from lampbench.util.regular_file import read_regular

_QUIET = 1.0  # seconds of waiting that are not worth a message
_AGAIN = 60.0  # seconds until the message is repeated


@contextlib.contextmanager
def hold(file: Path, what: str, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock on `file`; waits while another process holds it, and says for whom.

    The system releases the lock of a process that dies.

    Args:
        file: the lock's file; made if it is not there.
        what: what the lock protects, for the message.
        say: where messages go.

    Raises:
        FullDisk: the disk is full.
    """
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    began = time.monotonic()
    patience = _QUIET
    while True:
        try:
            with writing(file):
                lock.acquire(timeout=patience)
            break
        except Timeout:
            waited = duration(time.monotonic() - began)
            say(f"waiting for {what}: {describe_holder(file)}; waited {waited} so far")
            patience = _AGAIN
    try:
        note_holder(file)
        yield
    finally:
        note_holder(file, gone=True)
        lock.release()


def note_holder(file: Path, *, gone: bool = False) -> None:
    """Note beside a lock that this process holds it, or no longer does.

    Raises:
        FullDisk: the disk is full.
    """
    if gone:
        _holder(file).unlink(missing_ok=True)
        return
    with writing(_holder(file)):
        _holder(file).write_text(json.dumps(_self()), encoding="utf-8")


def _holder(file: Path) -> Path:
    return file.with_name(f"{file.name}.holder")


def _self() -> dict[str, object]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.time(),
    }


def describe_holder(file: Path) -> str:
    """Who holds a lock, and whether they are still at work."""
    holder = _holder(file)
    try:
        held = json.loads(read_regular(holder))
        host, pid = str(held["host"]), int(held["pid"])
        since = time.strftime("%H:%M", time.localtime(float(held["since"])))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process holds it"
    text = f"process {pid} on {host} holds it since {since}"
    if host != socket.gethostname():
        return f"{text} (another host; if that process is gone, delete {holder.with_suffix('')})"
    state = _state(pid)
    if state == "T":
        return f"{text} and is stopped; resume it with `kill -CONT {pid}` or end it"
    if state is None:
        return f"{text}; that process has ended, and one that it started still holds the lock"
    return text


def _state(pid: int) -> str | None:
    """R, S, T (stopped), ...; None if there is no such process; "?" where it cannot be known."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        return "?"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return "?"
    return stat.rpartition(")")[2].split()[0]
