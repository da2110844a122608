"""A value that no record should have is named, and never becomes a word."""

import math
from typing import Any

import pytest

from lampbench.data.json_stream import declared_task, stream_lines
from lampbench.data.parse_values import as_date, as_text
from lampbench.util.errors import LampbenchError


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, 10**400, -(10**5000)],
    ids=["nan", "inf", "-inf", "400 digits", "5,000 digits"],
)
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(LampbenchError, match="f:1: date is NaN, infinite or too large"):
        as_text(value, "f:1", "date")


def test_numbers_are_kept_as_they_print() -> None:
    assert [as_text(one, "f:1", "date") for one in (2014, 4.5, -1)] == ["2014", "4.5", "-1"]


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_words_of_json_that_are_no_numbers_are_refused(tmp_path, value: str) -> None:
    (tmp_path / "f.jsonl").write_text(f'{{"id": "a", "x": {value}}}')
    ((where, row),) = stream_lines(tmp_path / "f.jsonl")
    with pytest.raises(LampbenchError, match=r"f\.jsonl:1: x is NaN, infinite"):
        as_text(row["x"], where, "x")


@pytest.mark.parametrize(
    "value", ["9" * 4301, "[" * 100_000], ids=["4,301 digits", "100,000 brackets"]
)
def test_numbers_and_nesting_without_end_are_one_line(tmp_path, value: str) -> None:
    (tmp_path / "f.jsonl").write_text(f'{{"id": "a", "x": {value}}}\n')
    with pytest.raises(LampbenchError, match=r"f\.jsonl:1: ") as refused:
        list(stream_lines(tmp_path / "f.jsonl"))
    assert len(str(refused.value)) < 500 + len(str(tmp_path))


def test_a_number_without_end_does_not_end_the_process(tmp_path) -> None:
    (tmp_path / "f.json").write_text('{"task": ' + "9" * 4301 + ', "golds": []}')
    assert declared_task(tmp_path / "f.json") is None


@pytest.mark.parametrize(
    ("value", "found"),
    [(2014, "2014"), (2014.0, "2014"), ("2014-05", "2014-05"), (None, None), (2014.5, "2014.5")],
)
def test_a_year_among_missing_ones_is_a_fraction_in_files(value: Any, found: str | None) -> None:
    assert as_date(value, "here") == found
