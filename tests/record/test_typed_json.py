"""Dataclasses from JSON: what fits is read, and what does not is named by its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lampbench.record.typed_json import Mismatch, brief, from_json, frozen, loads


@dataclass(frozen=True)
class Inner:
    number: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    text: str
    count: int | None
    inner: Inner
    by_name: Mapping[str, Inner]
    anything: Any = None


WHOLE: dict[str, Any] = {
    "text": "t", "count": 2, "inner": {"number": 1}, "by_name": {"a": {"number": 2.5}},
    "anything": [1, {"b": [True]}],
}  # fmt: skip


def test_what_fits_is_read():
    found = from_json(Outer, WHOLE)
    assert found == Outer("t", 2, Inner(1.0), {"a": Inner(2.5)}, (1, {"b": (True,)}))
    assert isinstance(found.inner.number, float)
    assert from_json(Outer, {**WHOLE, "count": None}).count is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": 1}, "text must be text, it is an integer"),
        ({"count": True}, "count must be an integer, it is true or false"),
        ({"count": 2**63}, "count must be a finite number of at most 63 bits"),
        ({"inner": {}}, "inner.number is missing"),
        ({"inner": {"number": float("nan")}}, "inner.number must be a finite number"),
        ({"inner": {"number": 1, "more": 2}}, "inner.more is no known field"),
        ({"inner": {"number": 1, "names": ["a", 3]}}, "inner.names.1 must be text"),
        ({"by_name": []}, "by_name must be an object, it is a list"),
        ({"by_name": {"x" * 90: 1}}, f"by_name.{'x' * 40}... must be an object"),
        ({"anything": float("inf")}, "anything must be a finite number"),
        ({"unknown": 1}, "unknown is no known field"),
    ],
)
def test_what_does_not_fit_is_named(change, said):
    with pytest.raises(Mismatch) as error:
        from_json(Outer, {**WHOLE, **change})
    assert str(error.value).startswith(said)


def test_nesting_without_end_is_named():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Mismatch, match="nested too deeply"):
        from_json(Outer, {**WHOLE, "anything": deep})
    with pytest.raises(ValueError, match="nested too deeply"):
        loads("[" * 100_000)


@pytest.mark.parametrize("text", ["{", "[1,]", "NaN", "[Infinity]", "[-Infinity]", b"\xff"])
def test_what_is_no_strict_json(text):
    with pytest.raises(ValueError, match=r"not JSON|finite"):
        loads(text)


def test_brief_is_one_short_line():
    assert brief("a\nb") == r"'a\nb'"
    assert len(brief("x" * 900)) < 50
    values: list[Any] = [3, [], {}, None]
    assert list(map(brief, values)) == ["an integer", "a list", "an object", "null"]


def test_frozen_makes_tuples():
    assert frozen({"a": [1, [2]]}) == {"a": (1, (2,))}
