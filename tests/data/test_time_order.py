"""Which texts are dates, and what is said of a file whose order is not that of its dates."""

import pytest

from lampbench.core.dataset import Record
from lampbench.data.time_order import OrderOfFile, is_date, oldest_first


@pytest.mark.parametrize("text", ["2014-05-12", "2014-05", "2014", "2014-05-12T08:00", "0001"])
def test_a_date(text: str) -> None:
    assert is_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12/05/2014",
        "2014-30-05",
        "2014-02-30",
        "2014-13",
        "0000",
        "2014-5-1",
        "May 2014",
        "\uff12\uff10\uff11\uff14",
    ],
)
def test_no_date(text: str) -> None:
    assert not is_date(text)


@pytest.mark.parametrize(
    "dates",
    [
        ["2014-05-12T01:00", "2014-05-12 23:00"],
        ["2014-05-12 09:30:00", "2014-05-12T10:00Z"],
        ["2014-05-12T10:00:00+02:00", "2014-05-12T09:00:00Z"],
        ["2014-05-12 22:00:00Z", "2014-05-12T22:00:00-05:00", "2014-05-13T08:00Z"],
        ["2014-05-12T10:00:00", "2014-05-12T10:00:00.5"],
        ["2014-05-12 09:00:00 UTC", "2014-05-12 10:00:00.25 GMT", "2014-05-12 10:30:00 Z"],
        ["2014", "2014-05", "2014-05-12", "2014-05-12 00:00"],
        ["0900-05-12 10:00", "0900-05-12T11:00"],
        ["0001-01-01T00:00+05:00", "0001-01-01T00:00-05:00"],
    ],
)
def test_times_of_a_day_are_ordered_however_they_are_written(dates: list[str]) -> None:
    records = [Record(date, {}, "t", date) for date in dates]
    assert [one.id for one in oldest_first(records[::-1])[0]] == dates
    assert not notes(list(dates))


def test_what_follows_a_day_and_is_no_time_leaves_the_order_of_the_file() -> None:
    dates = ["2014-05-12 10 o'clock", "2014-05-12 9 o'clock", "2014-05-13"]
    records = [Record(date, {}, "t", date) for date in dates]
    assert [one.id for one in oldest_first(records)[0]] == dates


def notes(*histories: list[str | None]) -> list[str]:
    order = OrderOfFile()
    for number, dates in enumerate(histories):
        records = [Record(str(n), {}, "t", date) for n, date in enumerate(dates)]
        order.look(records, f"f:{number}: user 'u'")
    return order.notes()


def test_nothing_is_said_of_dates_in_order_and_of_missing_ones() -> None:
    assert not notes(
        ["2014", "2014-05", "2014-05-01", "2014-05", "2015"], [], ["2015", None, "2014"]
    )


def test_odd_dates_are_counted_with_the_first_place() -> None:
    (said,) = notes(["2014"], ["2015", "1/2/2014", "3/2/2014"], ["soon"])
    assert said.startswith("dates that are not written as 2014-05-12, 2014-05 or 2014: 3, first ")
    assert "f:1: user 'u': record '1': '1/2/2014'" in said


def test_users_whose_records_are_out_of_order_are_counted() -> None:
    (said,) = notes(["2015", "2014"], ["2014", "2015"], ["2014-06", "2014-05-12"])
    assert said.startswith("users whose records are not in the order of their dates: 2, first f:0:")
    assert "put the oldest record first" in said
