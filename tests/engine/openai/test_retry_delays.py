"""When requests are sent again."""

import threading
import time
from datetime import UTC, datetime

import pytest

from lampbench.engine.openai.retry_delays import SharedPause, backoff, retry_after

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sunday, 01-Mar-26 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:30 +0100"}, 30.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sun, 99 Mar 2026 12:00:30 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers, seconds):
    assert retry_after(headers, NOON) == seconds


def test_delays_double_up_to_a_minute_and_are_spread():
    for failures, usual in ((1, 1), (2, 2), (5, 16), (7, 60), (5_000, 60)):
        delays = [backoff(failures) for _ in range(200)]
        assert usual / 2 <= min(delays) < max(delays) <= usual
        assert max(delays) - min(delays) > usual / 4


def test_a_pause_holds_all_until_it_is_over_or_stopped():
    pause, stop = SharedPause(), threading.Event()
    assert pause.wait(stop)
    pause.extend(0.2)
    pause.extend(0.1)
    began = time.monotonic()
    assert pause.wait(stop)
    assert time.monotonic() - began >= 0.2
    pause.extend(60)
    threading.Timer(0.05, stop.set).start()
    assert not pause.wait(stop)
