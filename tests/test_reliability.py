"""Every promise of docs/reliability.md names a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROWS = [
    line
    for line in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


def test_there_are_promises() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS)
def test_a_promise_is_held_by_a_test(row: str) -> None:
    promise, tests, measured = (cell.strip() for cell in row.strip("| ").split(" | "))
    assert promise and measured
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for name in named:
        file, _, function = name.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text, name
