"""Tables as text that fits a terminal."""

from collections.abc import Iterable, Iterator

from lampbench.report.marks import BEST_IS_BOLD
from lampbench.report.table import NEAR, Cell, Section, Table, one_line
from lampbench.util.fitted_table import fitted_table, fitted_text


def as_plain_text(sections: Iterable[Section]) -> str:
    """Each section's title, then its tables with their notes."""
    lines: list[str] = []
    for section in sections:
        lines += [*([fitted_text(one_line(section.title)), ""] if section.title else [])]
        for table in section.tables:
            lines += [*_lines(table), ""]
    return "\n".join(lines)


def _lines(table: Table) -> Iterator[str]:
    heads = [one_line(text) for text in table.header]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    sides = ["left" if i < table.labels else "right" for i in range(len(heads))]
    yield from (fitted_text(one_line(table.title)), "")
    yield fitted_table(rows, heads, disable_numparse=True, colalign=sides)
    for note in table.notes:
        # without bold type, the best says so itself
        yield fitted_text(one_line(note.replace(BEST_IS_BOLD, "best: of its column", 1)))


def _cell(cell: Cell) -> str:
    """A number with its mark: `best`, or the sign of those near to it."""
    if isinstance(cell, str):
        return one_line(cell)
    marks = {"best": "best", "near": NEAR, "": ""}
    parts = (cell.text(), marks[cell.mark], "*" if cell.noted else "", cell.interval())
    return " ".join(filter(None, parts))
