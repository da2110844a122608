"""Runs a piece of work in processes that die at a change of the file system.

The script that imports this is a process of its own: it forks.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

_CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.link"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_KILLED = 9


class _Steps:
    done = 0
    most: int | None = None
    watched = False


def _step() -> None:
    if _Steps.most is not None and _Steps.done >= _Steps.most:
        os._exit(_KILLED)
    _Steps.done += 1


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITING):
        _step()


def _watch() -> None:
    """Count changes from here on: renames, new and removed files and folders, opening a file to
    write, and each fsync."""
    if _Steps.watched:
        return
    _Steps.watched = True
    sys.addaudithook(_hook)
    fsync = os.fsync

    def counted(fd: "FileDescriptorLike") -> None:
        _step()
        fsync(fd)

    os.fsync = counted


def changes_of(work: Callable[[], object]) -> int:
    """How many changes a piece of work makes, done to its end in a process of its own."""
    _watch()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _end(work, None, lambda: os.write(writing, str(_Steps.done).encode()))
    os.close(writing)
    with os.fdopen(reading) as stream:
        found = stream.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return int(found)


def killed_at(work: Callable[[], object], step: int) -> bool:
    """Kill a piece of work just before a change, counted from 0; whether it came so far."""
    _watch()
    child = os.fork()
    if child == 0:
        _end(work, step, lambda: None)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, _KILLED), f"step {step} ended with {code}"
    return code == _KILLED


def _end(work: Callable[[], object], most: int | None, report: Callable[[], object]) -> None:
    """Do the work in a forked process, and end the process."""
    _Steps.done, _Steps.most = 0, most
    try:
        work()
        _Steps.most = None
        report()
    except BaseException as error:
        print(f"step {most}: {error!r}", file=sys.stderr)
        os._exit(1)
    os._exit(0)


def at_every_change(work: Callable[[], object], look: Callable[[int], None], limit: int) -> int:
    """Kill `work` before its first change, its second, ...; `look` is called after each kill.

    Returns how many kills there were when `work` first came to its end.
    """
    for step in range(limit):
        killed = killed_at(work, step)
        look(step)
        if not killed:
            return step
    raise AssertionError(f"not done after {limit} changes")
