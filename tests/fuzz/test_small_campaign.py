"""A small campaign over every format; the large one is `python -m tests.fuzz.campaign`."""

import itertools
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from lampbench.util.errors import LampbenchError
from tests.fuzz import campaign
from tests.fuzz.campaign import Hang, give, run, wrong_with
from tests.fuzz.every_format import FORMATS
from tests.fuzz.formats import Format

ROOT = Path(__file__).resolve().parents[2]
INPUTS = 150
SLOW = {"command line": 60}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMATS)
def test_changed_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    *_, outcome = give(FORMATS[name], 0, 0, SLOW.get(name, INPUTS), tmp_path)
    assert outcome.findings == {}
    assert outcome.read + outcome.refused == outcome.inputs


@pytest.mark.parametrize("name", FORMATS)
def test_sound_files_of_every_format_are_read(name: str, tmp_path: Path) -> None:
    """Otherwise nothing behind the first check would be reached."""
    sound = Format(name, FORMATS[name].make, FORMATS[name].read, lambda *_: None)
    if name != "command line":  # whose arguments are made by the change
        (outcome,) = give(sound, 0, 0, 1, tmp_path)
        assert (outcome.read, outcome.failed) == (1, 0)


def broken(read) -> Format:
    return Format("broken", lambda: {"a.txt": b"x"}, read)


def test_the_campaign_finds_what_it_looks_for(tmp_path: Path) -> None:
    def fault(folder: Path) -> None:
        raise ValueError("a fault")

    def unnamed(folder: Path) -> None:
        raise LampbenchError("somewhere: is wrong; mend it")

    def hopeless(folder: Path) -> None:
        raise LampbenchError(f"{folder}: is wrong")

    for read, kind in (
        (fault, "ValueError"), (unnamed, "names no file"), (hopeless, "names no remedy"),
    ):  # fmt: skip
        (outcome,) = give(broken(read), 0, 0, 1, tmp_path)
        assert [one.startswith(kind) for one in outcome.findings] == [True]
    here = f"{tmp_path}: is wrong; "
    assert wrong_with(here + "x" * 500, broken(fault), tmp_path) == "too long"
    assert wrong_with(here + "\x1b[2J", broken(fault), tmp_path) == "not one printable line"


def test_a_dying_process_is_a_finding_and_the_campaign_goes_on() -> None:
    def read(folder: Path) -> None:
        if (folder / "a.txt").read_bytes() == b"die":
            signal.raise_signal(signal.SIGKILL)

    def change(random: Random, folder: Path, files: object) -> None:
        if random.random() < 0.2:
            (folder / "a.txt").write_bytes(b"die")

    outcome = run(Format("dying", lambda: {"a.txt": b"x"}, read, change), 0, 0, 10)
    assert any("the process ended with -9" in kind for kind in outcome.findings)


def wait() -> None:
    time.sleep(60)


def compute() -> None:
    while True:
        pass


@pytest.mark.parametrize("stay", [wait, compute])
def test_an_input_that_does_not_end_is_a_finding(
    stay: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()  # the first is not limited: it imports what is imported once

    def read(folder: Path) -> None:
        if next(calls):
            stay()

    monkeypatch.setattr(campaign, "SLOWEST", 0.5)
    outcome = run(Format("slow", lambda: {"a.txt": b"x"}, read, lambda *_: None), 0, 0, 1)
    assert any("Hang" in kind for kind in outcome.findings)


def test_an_input_is_the_same_in_every_campaign(tmp_path: Path) -> None:
    def contents(first: int) -> list[bytes]:
        seen: list[bytes] = []
        form = FORMATS["imported predictions"]

        def read(folder: Path) -> None:
            file = folder / "theirs.json"
            seen.append(file.read_bytes() if file.is_file() else b"")

        list(give(Format(form.name, form.make, read, form.change), 3, first, 5, tmp_path))
        return seen

    assert contents(0) == contents(0)
    assert contents(0)[2:] == contents(2)[:3]
    assert issubclass(Hang, BaseException) and not issubclass(Hang, Exception)


def test_the_recorded_campaign_has_every_format_and_the_documents_say_its_size() -> None:
    page = json.loads((ROOT / "docs" / "fuzzing.json").read_text(encoding="utf-8"))
    formats = page["formats"]
    assert formats.keys() == FORMATS.keys()
    for row in formats.values():
        assert row["failed"] == 0 and row["findings"] == {}
        assert row["slowest"] < page["seconds allowed"] and row["longest_message"] <= 500
        assert row["read"] and row["read"] + row["refused"] == row["inputs"]
    least = min(row["inputs"] for row in formats.values())
    said = f"{len(formats)} formats, at least {least:,} inputs of each"
    assert said in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
