"""Runs a piece of work in processes that die at every change of the file system, one after the
other, and looks at what each left behind.

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


class _Steps:
    left: int | None = None


def _step() -> None:
    if _Steps.left is not None:
        _Steps.left -= 1
        if _Steps.left < 0:
            os._exit(9)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITING):
        _step()


def at_every_change(work: Callable[[], object], look: Callable[[int], None], limit: int) -> int:
    """Kill `work` before its first change, its second, ...; `look` is called after each kill.

    Returns how many kills there were when `work` first came to its end.
    """
    sys.addaudithook(_hook)
    fsync = os.fsync

    def counted(fd: "FileDescriptorLike") -> None:
        _step()
        fsync(fd)

    os.fsync = counted
    for step in range(limit):
        child = os.fork()
        if child == 0:
            _Steps.left = step
            try:
                work()
            except BaseException as error:
                print(f"step {step}: {error!r}", file=sys.stderr)
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 9), f"step {step} ended with {code}"
        look(step)
        if code == 0:
            return step
    raise AssertionError(f"not done after {limit} changes")
