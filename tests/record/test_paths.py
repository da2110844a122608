"""Safe names of folders, for any text."""

import random
from pathlib import Path

import pytest

from lampbench.record.paths import escape, unescape

HOSTILE = [
    "", ".", "..", "...", "a/b", "../../etc/passwd", "a\\b", "a\0b", " ", "a ", "a.", ".git", "-rf",
    "~", "~root", "a~b", "%", "%2F", "%2f", "a%00", "CON", "con", "Con.txt", "lpt9.x", "nul",
    "com10", "conference", "$(rm)", "a;b", "*?[x]", '"', "'", ":", "|", "<>", "\n", "\r\n",
    "\u2028", "\ud800", "é", "e\u0301", "日本語", "İ", "ß", "mistralai/Mistral-7B-Instruct-v0.3",
    "model--x", "x" * 500, "X" * 500, "/" * 90, "😀" * 60,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_escaped_names_are_safe(text):
    name = escape(text)
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-%~")
    assert not name.startswith((".", "-"))
    assert not name.endswith(".")
    assert len(name) <= 120
    stem = name.split(".")[0].lower()
    devices = {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
    assert stem not in {"con", "prn", "aux", "nul"} | devices
    assert Path("root", name).parts == ("root", name)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_escaping_is_undone(text):
    name = escape(text)
    if "~~" in name:
        with pytest.raises(ValueError, match="too long"):
            unescape(name)
    else:
        assert unescape(name) == text


def test_escaping_is_undone_for_random_text():
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choice("aA./\\%~ -é\0\ud800😀") for _ in range(draw.randrange(12)))
        assert unescape(escape(text)) == text


def test_distinct_names_stay_distinct_where_case_is_ignored():
    names = [*HOSTILE, "Alice", "alice", "ALICE", "a%2Fb", "y" * 500, "x" * 499, "é".upper()]
    folded = {escape(name).lower() for name in names}
    assert len(folded) == len(set(names))


def test_plain_names_stay_readable():
    assert escape("news_headline") == "news_headline"
    assert escape("a/b") == "a%2Fb"
    assert escape("Qwen/Qwen2.5").startswith("Qwen%2FQwen2.5~")


@pytest.mark.parametrize("name", ["", "a b", "a%2f", "%ZZ", "%FF", "x~12345678", "é", ".."])
def test_names_that_escape_never_gives_are_refused(name):
    with pytest.raises(ValueError, match="no escaped name"):
        unescape(name)
