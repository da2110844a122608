"""JSON text that is parsed while it is read."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lampbench.data import json_text
from lampbench.data.json_text import JsonText, MalformedJson

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner,
                                                                max_size=4), max_leaves=12,
)  # fmt: skip
SETTINGS = settings(derandomize=True, max_examples=300, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    """So that a chunk ends inside every kind of token."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_text, "CHUNK", 3)
        yield


def stream(text: str, encoding: str = "utf-8") -> JsonText:
    return JsonText(io.BytesIO(text.encode(encoding, "surrogatepass")))


@SETTINGS
@given(items=st.lists(values, max_size=5), ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_a_list_is_read_as_json_reads_it(items: list[Any], ascii: bool, indent: int | None) -> None:
    text = json.dumps(items, ensure_ascii=ascii, indent=indent)
    assert list(stream(f" {text} ").items()) == items
    assert list(stream(text, "utf-8-sig").items()) == items


@SETTINGS
@given(content=st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_an_object_is_read_as_json_reads_it(content: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    for name, number, value in stream(json.dumps(content)).members():
        if number is None:
            found[name] = value
        else:
            found.setdefault(name, []).append(value)
    assert found == {name: value for name, value in content.items() if value != []}


@SETTINGS
@given(items=st.lists(values, min_size=1, max_size=4), at=st.integers(1, 200))
def test_text_that_is_cut_is_malformed(items: list[Any], at: int) -> None:
    text = json.dumps(items)
    with pytest.raises(MalformedJson):
        list(stream(text[: max(1, len(text) - at)]).items())


@SETTINGS
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_malformed(content: bytes) -> None:
    try:
        list(JsonText(io.BytesIO(b"[" + content)).items())
    except MalformedJson as error:
        assert "at character" in str(error)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested too deeply, at character 2"),
        ('[{"a":' * 50_000, "nested too deeply, at character 2"),
        (f"[1, {'9' * 4301}]", "a number of thousands of digits, at character 5"),
        ("[1 2]", "',' or ']' expected, not '2', at character 4"),
        ("[1,", "Expecting value, at character 4"),
        ("[1", "it ends early, at character 3"),
        ('["a\nb"]', "Invalid control character, at character 4"),
        ('["abc', "Unterminated string starting, at character 2"),
    ],
)
def test_what_is_wrong_and_where(text: str, problem: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        list(stream(text).items())
    assert str(caught.value) == problem


def test_bytes_that_are_no_utf8_are_met_behind_the_records_before_them() -> None:
    found = JsonText(io.BytesIO(b'["one", "t\xffwo"]')).items()
    assert next(found) == "one"
    with pytest.raises(MalformedJson, match=r"not UTF-8 \(0xff\)"):
        next(found)


def test_a_value_without_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "LONGEST_VALUE", 1000)
    endless = io.BytesIO(b'["' + b"a" * 100_000)
    with pytest.raises(MalformedJson, match="a value of more than 1,000 characters"):
        list(JsonText(endless).items())
    assert endless.tell() < 10_000


def test_a_malformed_value_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = io.BytesIO(b'["one", x' + b" " * 100_000)
    with pytest.raises(MalformedJson, match="Expecting value"):
        list(JsonText(endless).items())
    assert endless.tell() < 200
