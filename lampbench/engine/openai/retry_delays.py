"""When a request is sent again: the server's Retry-After, or delays that double, with jitter."""

import math
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event, Lock

LONGEST_WAIT = 600.0
"""Seconds; a server that asks for more ends the command, which can be given again later."""

_FIRST, _MOST = 1.0, 60.0  # seconds


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a server asks to wait; None where it does not say, or nothing that is sense.

    `Retry-After` is a number of seconds or an HTTP date (RFC 9110, 10.2.3); `retry-after-ms` is
    OpenAI's finer one. A date that has passed is 0. `headers` has lower-case names.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (text := headers.get(name, "").strip()) and (found := _number(text)) is not None:
            return found * unit
    try:
        when = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None


def backoff(failures: int) -> float:
    """Seconds before the next try after some failures in a row, from 1: doubled each time, at most
    a minute, of which a random part of up to a half is taken off.
    """
    usual: float = min(_MOST, _FIRST * 2 ** min(failures - 1, 30))
    return usual * random.uniform(0.5, 1.0)


class SharedPause:
    """The time before which no request of any thread is sent, as a throttling server asks."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until = 0.0

    def extend(self, seconds: float) -> None:
        """No request before so many seconds have passed."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)

    def wait(self, stop: Event) -> bool:
        """Wait until requests may be sent; False if `stop` is set before.

        Threads that waited do not all begin at the same moment.
        """
        spread = 0.0
        while (left := self._until - time.monotonic()) > 0:
            spread = random.uniform(0.0, 0.25)
            if stop.wait(left):
                return False
        return not stop.wait(spread)
