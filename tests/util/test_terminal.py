import io
import json

import pytest
from click import style

from lampbench.util.terminal import SafeStream, visible


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\x1b[1A\x1b[2K",
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


@pytest.mark.parametrize(
    "text", ["plain\n\ttext", "é 漢 🙂", style("word", fg="green", bold=True), "\r\x1b[K3 of 5"]
)
def test_what_the_program_itself_sends_passes(text):
    assert visible(text) == text


def test_a_stream_is_what_it_was_but_for_that():
    inner = io.StringIO()
    stream = SafeStream(inner)
    print("a\x1b[2Jb", "c", file=stream)
    stream.writelines(["x\x07\n"])
    assert inner.getvalue() == "a\\u001b[2Jb c\nx\\u0007\n"
    assert stream.isatty() is False
