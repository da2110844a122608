"""Which texts are dates, and what is said of a file whose order is not that of its dates."""

import pytest

from lampbench.core.dataset import Record
from lampbench.data.time_order import OrderOfFile, is_date


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
