"""`lampbench browse`: keys, the screen, and a session in a real terminal."""

import os
import pty
import re
import subprocess
import sys
import termios
import time
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from lampbench.cli.browse import KEYS, PICKS, Position, moved
from lampbench.report.example_answers import AnsweredQuery, ShownAnswer
from lampbench.report.example_screen import example_screen
from tests.conftest import ROOT
from tests.shared.recorded_fixtures import Call, Recorder

HOSTILE = "\x1b]0;hacked\x07 \x1b[2J"


@pytest.mark.parametrize(
    ("key", "at", "to"),
    [
        ("n", Position(0), Position(1)),
        (" ", Position(2), Position(2)),
        ("\x1b[C", Position(1), Position(2)),
        ("p", Position(1), Position(0)),
        ("p", Position(0), Position(0)),
        ("o", Position(2), Position(0, 1)),
        ("o", Position(0, len(PICKS) - 1), Position()),
        ("d", Position(1, 1), Position(0, 1, 1)),
        ("d", Position(1, 0, 1), Position()),
        ("x", Position(1), Position(1)),
        ("q", Position(1), None),
        ("\x03", Position(1), None),
    ],
)
def test_keys(key: str, at: Position, to: Position | None) -> None:
    assert moved(at, key, queries=3, datasets=2) == to


def shown(width: int, text: str = "answer") -> str:
    query = AnsweredQuery(
        "ann", "q1", ["a", "b"], [("text", text)], "own words",
        [ShownAnswer("CoPe", ["some ", "words", " and more " * 20], 0.5)],
    )  # fmt: skip
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard")
    console.print(example_screen(query, "News, 1 of 3", KEYS))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_screen_fits_the_width_and_marks_shared_words(width: int) -> None:
    text = shown(width)
    assert "\x1b[1;32mwords" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(map(len, plain.splitlines())) <= width
    for part in ("News, 1 of 3", "user ann, query q1, 2 past texts", "own words", "ROUGE-L 0.500"):
        assert part in plain


def test_texts_of_others_are_shown_and_not_obeyed() -> None:
    text = shown(80, HOSTILE)
    assert "\x1b]0" not in text and "\x1b[2J" not in text
    assert "\\u001b" in text


def test_a_pipe_is_refused_in_one_line(record: Recorder, call: Call) -> None:
    record("cope")
    code, _, err = call("browse", "--task", "news_headline", "--method", "cope")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "lampbench examples" in err


def session(folder: Path, keys: str) -> tuple[str, int]:
    """What a terminal shows while keys are typed, and the exit code."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "lampbench", "browse", "--task", "news_headline"]
    for method in ("base", "cope"):
        command += ["--method", method]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "90"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    text, waiting, patience, shown = "", list(keys), time.monotonic() + 240, 0
    while time.monotonic() < patience:
        try:
            read = os.read(leader, 65536).decode("utf-8", "replace")
        except OSError:  # the terminal is closed: the program has ended
            break
        text += read
        if text.count("q quit") > shown and waiting:  # a screen is complete, however it arrived
            shown += 1
            # what is typed before the program reads single keys is discarded
            while termios.tcgetattr(leader)[3] & termios.ICANON and time.monotonic() < patience:
                time.sleep(0.01)
            os.write(leader, waiting.pop(0).encode())
    os.close(leader)
    return text, process.wait(30)


def test_a_session_in_a_terminal(record: Recorder, tmp_path: Path) -> None:
    record("base", good=3)
    record("cope", good=5)
    text, code = session(tmp_path, "npoq")
    assert code == 0, text[-500:]
    places = re.findall(r"(drawn|gain) · (\d) of (\d)", re.sub(r"\x1b\[[0-9;]*m", "", text))
    assert places == [
        ("drawn", "1", "3"), ("drawn", "2", "3"), ("drawn", "1", "3"), ("gain", "1", "3"),
    ]  # fmt: skip
