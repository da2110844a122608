"""Tables as Markdown. Texts from runs are data: they are escaped and never become markup."""

import re
from collections.abc import Iterable, Sequence

from lampbench.report.table import NEAR, Cell, Section, Table, one_line

_MARKUP = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(lambda found: "\\" + found[0], one_line(text))


def link(text: str, target: str) -> str:
    """A link to a file of the repository."""
    return f"[{escaped(text)}]({target})"


def as_markdown(sections: Iterable[Section], level: int) -> str:
    """Each section's heading at `level`, its tables one below; without a title, at `level`."""
    parts = []
    for section in sections:
        if section.title:
            parts.append(heading(section.title, level))
        below = level + 1 if section.title else level
        parts += [markdown_table(table, below) for table in section.tables]
    return "\n".join(parts)


def heading(title: str, level: int) -> str:
    """A heading's line."""
    return f"{'#' * level} {escaped(title)}\n"


def markdown_table(table: Table, level: int) -> str:
    """The table with a heading of `level`, its columns aligned in the source as well."""
    header = [escaped(text) for text in table.header]
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    rule = [
        "-" * width if i < table.labels else "-" * (width - 1) + ":"
        for i, width in enumerate(widths)
    ]
    lines = [_line(row, widths, table.labels) for row in (header, rule, *rows)]
    text = f"{heading(table.title, level)}\n" + "\n".join(lines) + "\n"
    return text + "".join(f"\n{escaped(note)}\n" for note in table.notes)


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return escaped(cell)
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
