"""What progress says, and when it dares to say how long."""

import io
import sys

import pytest

from lampbench.util.progress import Progress
from lampbench.util.stage_rows import StageRow


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


class _Terminal(io.StringIO):
    """A stream that says it is a terminal, and keeps what it is sent."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A function: from now on both standard streams are one terminal that can rewrite lines."""
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def begin():  # in the test itself: pytest sets the streams anew after the fixtures
        stream = _Terminal()
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return begin


def study(name):
    """A display, and the context of its table of one stage."""
    progress = Progress()
    row = StageRow(run=name, method=name, task="news", stage="predict", total=2)
    return progress, progress.tabled([row])


def test_a_table_gives_the_streams_back(terminal):
    terminal = terminal()
    _, table = study("base")
    with table:
        assert sys.stdout is not terminal and sys.stderr is not terminal
    assert sys.stdout is terminal and sys.stderr is terminal
    with pytest.raises(KeyError), study("base")[1]:
        raise KeyError
    assert sys.stdout is terminal and sys.stderr is terminal


def test_studies_in_threads_share_the_terminal_and_give_the_streams_back(terminal):
    """The order in which two calls of `lampbench.run` may begin and end."""
    terminal = terminal()
    shown = terminal.getvalue
    (first, one), (second, other) = study("base"), study("rag")
    one.__enter__()
    other.__enter__()
    assert first.table is not None and second.table is None
    second.start("rag news: predict", 2, "queries", run="rag")
    second.finish()
    one.__exit__(None, None, None)
    assert sys.stdout is terminal and sys.stderr is terminal
    second.say("rag news: recorded")
    other.__exit__(None, None, None)
    assert sys.stdout is terminal and sys.stderr is terminal
    lines = shown().splitlines()
    assert any("rag news: predict: 2 queries in " in line for line in lines)
    assert lines[-1] == "rag news: recorded", "a plain line, not one that rewrites another"
    with study("rag")[1]:
        assert sys.stderr is not terminal, "and there may be a table again"
