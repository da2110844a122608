"""Tables within the width of a terminal."""

import pytest

from lampbench.util import fitted_table as module
from lampbench.util.fitted_table import fitted_table, fitted_text

HEADS = ["method", "seed", *(f"metric {i}" for i in range(8))]
ROWS = [[f"method-{n}", str(n), *(f"0.{n}{i}" for i in range(8))] for n in range(3)]


@pytest.fixture
def width(monkeypatch):
    def set_to(columns):
        monkeypatch.setattr(module, "terminal_width", lambda: columns)

    return set_to


def test_a_file_has_the_whole_table_in_one_piece(width):
    width(None)
    assert len(fitted_table(ROWS, HEADS, disable_numparse=True).splitlines()) == 2 + len(ROWS)
    assert fitted_text("a " * 200) == "a " * 200


@pytest.mark.parametrize("columns", [80, 40, 24])
def test_a_terminal_has_every_cell_and_no_line_is_too_long(width, columns):
    width(columns)
    text = fitted_table(ROWS, HEADS, repeated=2, disable_numparse=True)
    assert max(map(len, text.splitlines())) <= columns
    blocks = text.split("\n\n")
    assert len(blocks) > 1
    for block in blocks:
        assert [line.split()[0] for line in block.splitlines()[2:]] == [row[0] for row in ROWS]
    shown = text.split()
    for row in ROWS:
        assert all(cell in shown for cell in row)
    assert max(map(len, fitted_text("some words " * 40).splitlines())) <= columns


def test_a_cell_that_is_too_wide_is_wrapped(width):
    width(30)
    words = "one two three four five six seven eight nine"
    text = fitted_table([["a", words]], ["name", "text"])
    assert max(map(len, text.splitlines())) <= 30
    assert all(word in text for word in words.split())


def test_columns_keep_their_sides(width):
    width(24)
    text = fitted_table(ROWS, HEADS, colalign=["left", *["right"] * 9], disable_numparse=True)
    first = text.split("\n\n")[0].splitlines()
    assert first[2].startswith("method-0") and first[2].endswith(" 0")


def test_a_table_that_fits_is_left_alone(width):
    width(200)
    text = fitted_table(ROWS, HEADS, disable_numparse=True)
    assert len(text.splitlines()) == 2 + len(ROWS)
