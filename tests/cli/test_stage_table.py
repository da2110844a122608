"""The table of stages while a study runs, in a pseudo-terminal, and plain lines elsewhere."""

import os
import re
import signal

import pytest

from tests.shared.terminal import Session

pytestmark = pytest.mark.skipif(
    not hasattr(os, "openpty"), reason="the system has no pseudo-terminals"
)
RUN = ("run", "--method", "base", "--method", "oppu", "--task", "news_headline", "--device", "cpu")
HELD = re.compile(r"user_sf\S* .*1/2 .*stages done[^\n]*\Z", re.S)
"""The screen when the engine waits in training, drawn to the end."""


@pytest.fixture
def session(tmp_path):
    """A function that begins a study in a terminal; what it has begun is ended."""
    begun = []

    def begin(*arguments, **terminal):
        arguments = arguments or (*RUN, "--users", "2")
        begun.append(Session(tmp_path, "tests.shared.held_command", *arguments, **terminal))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def go(tmp_path):
    """A function that lets the engine go on."""
    return (tmp_path / "go").touch


def rows(text):
    """The rows of the table, by stage: the last table on the screen."""
    lines = text.splitlines()
    heads = [n for n, line in enumerate(lines) if line.split()[:3] == ["method", "task", "stage"]]
    assert len(heads) == 1, f"one table, drawn in place:\n{text}"
    found = {}
    for line in lines[heads[0] + 1 :]:
        if "stages done" in line:
            break
        method, task, stage, *more = line.split()
        found[method, stage] = (task, *more)
    return found


def test_stages_are_rows_that_are_drawn_in_place(session, go):
    """What is printed meanwhile is above them."""
    shown = session()
    text = shown.wait_until(lambda text: HELD.search(text) and "very long" in text)
    now = rows(text)
    assert [*now] == [
        ("base", "predict"), ("base", "score"),
        ("oppu", "task_sft"), ("oppu", "user_sft"), ("oppu", "predict"), ("oppu", "score"),
    ]  # fmt: skip
    assert now["base", "score"][-1] == "done" == now["oppu", "task_sft"][-1]
    assert now["oppu", "user_sft"][:2] == ("news_headline", "1/2")
    assert now["oppu", "predict"][-1] == "waiting"
    assert "3 of 6 stages done" in text
    go()
    assert shown.end() == 0
    after = rows(shown.screen.text)
    assert {row[-1] for row in after.values()} == {"done"}
    assert after["oppu", "user_sft"][1] == "2/2"
    assert "6 of 6 stages done" in shown.screen.text
    assert "oppu news_headline: user_sft" not in shown.screen.text, "the row tells it"
    above = " ".join(shown.screen.text.partition("method  ")[0].split())
    assert above.count("waiting for a file\\u001b[2J") == 1, "shown, and not obeyed"
    assert above.count("waiting " + "very " * 20 + "long") == 1


@pytest.mark.parametrize("width", [40, 24])
def test_it_fits_the_terminal(session, go, width):
    shown = session(width=width)
    text = shown.wait_until(HELD.search)
    table = [line for line in text.splitlines() if re.search(r"\d/\d", line)]
    assert len(table) == 6, "one line per row, none wrapped"
    assert text.count(" done\n") == 3 and text.count(" waiting\n") == 2
    go()
    assert shown.end() == 0
    assert len(re.findall(r" \d+/\d+  done", shown.screen.text)) == 6, shown.screen.text
    summary = shown.screen.text.partition("2 users")[2].partition("Means over")[0]
    assert summary.count("method ") > 1, "columns that do not fit are below"
    assert all(word in summary for word in ("ROUGE-1", "METEOR", "repetition"))


def test_a_study_of_more_stages_than_lines_shows_those_at_work(session, go):
    shown = session(height=8)
    text = shown.wait_until(HELD.search)
    assert "(rows 3 to 6)" in text
    assert len(rows(text)) == 4
    go()
    assert shown.end() == 0
    assert rows(shown.screen.text)


def test_ctrl_c_leaves_the_terminal_sound(session, go):
    shown = session()
    shown.wait_until(HELD.search)
    shown.process.send_signal(signal.SIGINT)
    assert shown.end() == 130
    text = shown.screen.text
    assert rows(text)["oppu", "user_sft"][-1] == "stopped"
    assert rows(text)["oppu", "predict"][-2:] == ("not", "begun")
    assert text.splitlines()[-1] == "Interrupted. Run the same command again to resume."
    assert shown.screen.column == 0
    go()
    again = session()
    assert again.end() == 0
    resumed = rows(again.screen.text)
    assert ("base", "predict") not in resumed, "a recorded run has no rows"
    assert resumed["oppu", "task_sft"][1:] == ("1/1", "cached")


def test_workers_share_one_table(session, go):
    shown = session(*RUN, "--users", "8", "--workers", "2")
    shown.wait_until(lambda text: re.search(r"oppu .*user_sft +2/8", text))
    assert rows(shown.screen.text)["oppu", "task_sft"][1::2] == ("1/1", "done")
    go()
    assert shown.end() == 0, shown.screen.text
    after = rows(shown.screen.text)
    assert after["oppu", "user_sft"][1] == "8/8"
    assert {row[-1] for row in after.values()} == {"done"}


def test_plain_lines_where_they_are_asked_for(session, go):
    go()
    shown = session(environment={"NO_COLOR": "1"})
    assert shown.end() == 0
    assert "\x1b" not in shown.raw
    assert re.search(r"^oppu news_headline: user_sft: 2 users in ", shown.screen.text, re.M)
    assert "stages done" not in shown.screen.text


def test_tables_on_a_terminal_fit_it_and_are_markdown_elsewhere(tmp_path, record, call, session):
    for method, good in (("base", 2), ("oppu", 8), ("cope", 5)):
        record(method, good=good)
    shown = session("table", "main", width=30)
    assert shown.end() == 0
    lines = shown.screen.text.splitlines()
    assert not any("|" in line for line in lines)
    for line in shown.raw.split("\r\n"):
        assert len(line) <= 30, "the terminal had to break no line"
    assert re.search(r"^OPPU .* best", shown.screen.text, re.M)
    assert "best: of its column" in " ".join(shown.screen.text.split())
    code, out, _ = call("table", "main")
    assert code == 0 and "| Method |" in out
    code, text, _ = call("table", "main", "--format", "text")
    assert code == 0 and "|" not in text
