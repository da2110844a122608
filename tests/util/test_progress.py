"""What progress says, and when it dares to say how long."""

import io

import pytest

from lampbench.util.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("lampbench.util.progress.time.monotonic", lambda: now[0])
    return now


def test_the_time_left_follows_from_what_is_done_and_waits_for_a_twentieth(clock):
    lines = io.StringIO()
    progress = Progress(lines)
    progress.start("tam: predict", 100, "queries")
    for seconds, done in [(20, 1), (30, 2), (50, 25), (60, 25.5)]:
        clock[0] = 100 + seconds
        progress.update(done)
    clock[0] = 200
    assert progress.finish() == 100
    assert lines.getvalue().splitlines() == [
        "tam: predict: 1 of 100 queries",
        "tam: predict: 2 of 100 queries",
        "tam: predict: 25 of 100 queries, 2 min 30 s left",
        "tam: predict: 25 of 100 queries, 2 min 55 s left",
        "tam: predict: 100 queries in 1 min 40 s",
    ]


def test_lines_are_ten_seconds_apart(clock):
    lines = io.StringIO()
    progress = Progress(lines)
    progress.start("tam: predict", 10, "queries")
    for seconds in range(1, 31):
        clock[0] = 100 + seconds
        progress.update(seconds / 3)
    assert len(lines.getvalue().splitlines()) == 3
