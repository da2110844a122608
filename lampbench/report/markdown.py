"""Tables as Markdown. Texts from runs are data: they are escaped and never become markup."""

import re
from collections.abc import Iterable, Iterator, Sequence

from lampbench.report.table import NEAR, Cell, Section, Table, one_line

_MARKUP = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)")


def plain(text: str) -> str:
    """Text that shows in Markdown as it is, on one line."""
    return _MARKUP.sub(lambda found: "\\" + found[0], one_line(text))


def render_sections(sections: Iterable[Section], level: int) -> Iterator[str]:
    """Each section's heading at `level`, its tables one below; without a title, at `level`."""
    for section in sections:
        if section.title:
            yield heading(section.title, level)
        for table in section.tables:
            yield render(table, level + 1 if section.title else level)


def heading(title: str, level: int) -> str:
    """A heading's line."""
    return f"{'#' * level} {plain(title)}\n"


def render(table: Table, level: int) -> str:
    """The table with a heading of `level`, its columns aligned in the source as well."""
    header = [plain(text) for text in table.header]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    rule = [
        "-" * width if i < table.labels else "-" * (width - 1) + ":"
        for i, width in enumerate(widths)
    ]
    lines = [_line(row, widths, table.labels) for row in (header, rule, *rows)]
    text = f"{heading(table.title, level)}\n" + "\n".join(lines) + "\n"
    return text + "".join(f"\n{plain(note)}\n" for note in table.notes)


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return plain(cell)
    text = cell.text()
    if cell.mark == "best":
        text = f"**{text}**"
    marks = [NEAR] if cell.mark == "near" else []
    marks += ["\\*"] if cell.noted else []
    return " ".join(part for part in (text, *marks, cell.interval()) if part)


def _line(cells: Sequence[str], widths: Sequence[int], labels: int) -> str:
    padded = [
        cell.ljust(width) if i < labels else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"
