"""What a row of the table of stages says."""

import pytest

from lampbench.util.stage_rows import UNDIVIDED, StageRow, clock


@pytest.fixture
def row():
    return StageRow("key", "oppu", "news", "oppu news: user_sft", 10)


def test_a_row_from_the_beginning_to_the_end(row):
    assert (row.state(), row.done, row.elapsed(5.0), row.left(5.0)) == ("waiting", 0, None, None)
    row.begin(100.0, UNDIVIDED, missing=8, cached=2)
    assert (row.state(), row.done, row.elapsed(130.0)) == ("running", 2, 30.0)
    assert row.left(130.0) is None, "nothing is made yet"
    row.update(UNDIVIDED, 2.5, "step 3 of 9")
    assert (row.state(), row.done) == ("running, step 3 of 9", 4)
    assert row.left(150.0) == 50.0 / 2.5 * 5.5
    row.update(UNDIVIDED, 1.0, "")
    assert row.done == 4, "a later report of less is not believed"
    row.update(UNDIVIDED, 8, "")
    row.close(200.0, UNDIVIDED)
    assert (row.state(), row.done, row.elapsed(999.0)) == ("done", 10, 100.0)
    assert row.left(999.0) is None


def test_what_was_there_is_cached_and_what_failed_is_missing(row):
    row.reuse(UNDIVIDED, 10)
    assert (row.state(), row.done, row.elapsed(9.0)) == ("cached", 10, None)
    other = StageRow("key", "oppu", "news", "x", 10)
    other.begin(0.0, UNDIVIDED, missing=10, cached=0)
    other.update(UNDIVIDED, 8, "")
    other.close(1.0, UNDIVIDED)
    assert (other.state(), other.complete) == ("2 missing", True)


def test_shards_add_up_and_a_row_is_complete_after_all_of_them(row):
    row.begin(0.0, (0, 2), missing=4, cached=0)
    row.begin(0.0, (1, 2), missing=6, cached=0)
    row.update((0, 2), 4, "")
    row.close(1.0, (0, 2))
    row.update((1, 2), 3, "")
    assert (row.done, row.state(), row.complete) == (7, "running", False)
    row.close(2.0, (1, 2))  # its worker died
    row.begin(3.0, (1, 2), missing=3, cached=3)
    assert row.done == 7
    row.update((1, 2), 3, "")
    row.close(4.0, (1, 2))
    assert (row.done, row.state(), row.elapsed(9.0)) == (10, "done", 4.0)
    row.reuse((1, 2), 6)
    assert row.state() == "done", "another worker found it made"


def test_the_first_of_two_shards_does_not_complete_a_row(row):
    row.begin(0.0, (0, 2), missing=5, cached=0)
    row.update((0, 2), 5, "")
    row.close(1.0, (0, 2))
    assert (row.state(), row.complete) == ("running", False)


def test_what_is_cut_off_is_stopped(row):
    waiting = StageRow("key", "oppu", "news", "y", 3)
    row.begin(0.0, UNDIVIDED, missing=10, cached=0)
    for each in (row, waiting):
        each.end()
    assert (row.state(), waiting.state()) == ("stopped", "not begun")


def test_clocks():
    given = (None, 0.4, 7, 750, 7500)
    assert [clock(each) for each in given] == ["", "0:00", "0:07", "12:30", "2:05:00"]
