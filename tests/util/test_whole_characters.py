"""Halves of surrogate pairs are replaced, and nothing else is."""

import pytest

from lampbench.util.whole_characters import whole_characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\ud83d", "a\ufffd"),
        ("\ud83db", "\ufffdb"),
        ("\ud83d\ud83d", "\ufffd\ufffd"),
        ("\udc00\ud83d", "\ufffd\ufffd"),
        ("a\udc00\U0001f600", "a\ufffd\U0001f600"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ufeffa\udc00", "\ufeffa\ufffd"),
    ],
)
def test_a_half_is_an_unknown_character(text, expected):
    assert whole_characters(text) == expected


@pytest.mark.parametrize("text", ["", "a", "na\u00efve \u65e5 \U0001f600\0\ufeff\ufffd"])
def test_other_texts_stay_as_they_are(text):
    assert whole_characters(text) is text
