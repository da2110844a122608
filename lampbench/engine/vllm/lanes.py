"""Only requests of one kind at a time are under way at a server."""

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Lanes(Generic[K]):
    """Lets requests of one kind pass together; those of another wait until all are done.

    `enter` prepares the server for another kind, while nothing is under way; its second argument is
    set when nobody waits for that any more.
    """

    def __init__(self, enter: Callable[[K, threading.Event], None]) -> None:
        self._enter = enter
        self._kind: K | None = None
        self._passing = 0
        self._changed = threading.Condition()

    def forget(self) -> None:
        """Prepare the server again before the next request, whatever its kind is."""
        with self._changed:
            self._kind = None

    @contextlib.contextmanager
    def take(self, kind: K, stopped: threading.Event) -> Iterator[None]:
        """A time in which no request of another kind is under way."""
        with self._changed:
            self._changed.wait_for(lambda: not self._passing or self._kind == kind)
            if self._kind != kind:
                self._kind = None
                self._enter(kind, stopped)
                self._kind = kind
            self._passing += 1
        try:
            yield
        finally:
            with self._changed:
                self._passing -= 1
                self._changed.notify_all()
