"""Carries out jobs in threads, a bounded number at a time; what is finished is never lost."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from threading import Event, Thread
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


class Abandoned(Exception):
    """A job was given up because another one failed; it is no failure of its own."""


def in_parallel(
    work: Callable[[J, Event], R], jobs: Iterable[J], threads: int
) -> Generator[tuple[J, R], None, None]:
    """Each job with its result, as soon as it is ready.

    After a failure no job is begun, those under way are waited for and yielded, and then the first
    failure is raised. `work` is given an event that is set when it should give up waiting. The
    threads do not keep the process alive: an interruption waits for none of them.

    Raises:
        Exception: what `work` raised.
    """
    waiting = deque(jobs)
    done: SimpleQueue[tuple[J, R] | BaseException | None] = SimpleQueue()
    stop = Event()

    def loop() -> None:
        try:
            while waiting and not stop.is_set():
                try:
                    job = waiting.popleft()
                except IndexError:  # another thread took the last one
                    break
                done.put((job, work(job, stop)))
        except BaseException as error:
            stop.set()
            done.put(error)
        finally:
            done.put(None)

    running = min(threads, len(waiting))
    failure: BaseException | None = None
    for _ in range(running):
        Thread(target=loop, daemon=True).start()
    try:
        while running:
            found = done.get()
            if found is None:
                running -= 1
            elif isinstance(found, BaseException):
                failure = failure if failure and not isinstance(failure, Abandoned) else found
            else:
                yield found
    finally:
        stop.set()
    if failure is not None:
        raise failure
