"""Tables as Markdown. Texts from runs are data: they are escaped and never become markup."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARKUP = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready to be shown. The first `labels` columns hold text, the others numbers.

    Titles, headers, cells and notes are Markdown: use `plain` for texts that come from runs.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1
    notes: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Text that shows in Markdown as it is, on one line."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return _MARKUP.sub(lambda found: "\\" + found[0], " ".join(line.split()))


def render(table: Table, level: int) -> str:
    """The table with a heading of `level`, its columns aligned in the source as well."""
    widths = [
        max(len(row[i]) for row in (table.header, *table.rows)) for i in range(len(table.header))
    ]
    rule = [
        "-" * width if i < table.labels else "-" * (width - 1) + ":"
        for i, width in enumerate(widths)
    ]
    lines = [_line(table.header, widths, table.labels), _line(rule, widths, table.labels)]
    lines += [_line(row, widths, table.labels) for row in table.rows]
    text = "#" * level + f" {table.title}\n\n" + "\n".join(lines) + "\n"
    return text + "".join(f"\n{note}\n" for note in table.notes)


def _line(cells: Sequence[str], widths: Sequence[int], labels: int) -> str:
    padded = [
        cell.ljust(width) if i < labels else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"
