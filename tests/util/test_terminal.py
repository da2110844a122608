import io
import json

import pytest
from click import style

from lampbench.util.terminal import LONGEST, REWRITE, SafeStream, message_line, rewrites, visible


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\x1b[1A\x1b[2K",
        "\x1b[8mhidden",
        "gone\r\x1b[Kforged",
        "\x9b31m",
        "over\rwritten",
        "back\bspace",
        "\u202egnp.exe",
        "\x00",
        "a\u2028b",
    ],
)
def test_no_escape_reaches_the_terminal(text):
    shown = visible(text)
    assert shown.isprintable() and "\\u" in shown
    assert json.loads(f'"{shown}"') == text, "within JSON it still means the same"


@pytest.mark.parametrize("text", ["plain\n\ttext", "é 漢 🙂", style("word", fg="green", bold=True)])
def test_what_the_program_itself_sends_passes(text):
    assert visible(text) == text


def test_a_stream_is_what_it_was_but_for_that():
    inner = io.StringIO()
    stream = SafeStream(inner)
    print("a\x1b[2Jb", "c", file=stream)
    stream.writelines(["x\x07\n"])
    assert inner.getvalue() == "a\\u001b[2Jb c\nx\\u0007\n"
    assert stream.isatty() is False


def test_a_stream_of_messages_bounds_its_lines_and_lets_progress_rewrite_its_own():
    inner = io.StringIO()
    stream = SafeStream(inner, LONGEST)
    stream.write(f"{REWRITE}3 of 5 {REWRITE}forged\n{'x' * 9_000}\n")
    first, second, end = inner.getvalue().split("\n")
    assert first == f"{REWRITE}3 of 5 \\u000d\\u001b[Kforged"
    assert len(second) == LONGEST and end == ""


LONG = "u" * 5_000


@pytest.mark.parametrize(
    "text",
    [
        f"data.json: record 7 (id {LONG}): output must be text; correct the record",
        f"data.json: {LONG}: {LONG}: {'many short words ' * 90}; correct the record",
        f"a\nb\tc\x1b[31m\u2028d\udcffe\U000e0001 {LONG} correct the record",
    ],
)
def test_a_message_is_one_line_that_keeps_what_is_wrong_and_what_to_do(text):
    line = message_line(text)
    assert len(line) <= LONGEST and line.isprintable()
    assert line[0] == text[0] and line.endswith("correct the record")


def test_a_short_message_is_as_it_was():
    assert message_line("a path: is missing") == "a path: is missing"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"CI": "false"}, True),
        ({"NO_COLOR": "1"}, False),
        ({"CI": "true"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_plain_lines_are_a_wish_of_the_environment(monkeypatch, environment, expected):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert rewrites(Terminal()) is expected
    assert not rewrites(io.StringIO())
