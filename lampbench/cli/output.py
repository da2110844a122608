"""What commands print: tables that fit the terminal, or 80 columns elsewhere; JSON documents."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import click

from lampbench.report.table import one_line
from lampbench.util.terminal import terminal_width

WIDTH = 80
"""Columns where standard output is no terminal, so that files are the same everywhere."""
_NARROW, _WIDE = 40, 160
_GAP = "  "
_NARROWEST = 20
"""The last column of a table is never made narrower, so that it stays readable."""


def screen_width() -> int:
    """Columns that a table may have: those of the terminal, within what is readable."""
    width = terminal_width()
    return WIDTH if width is None else min(max(width, _NARROW), _WIDE)


def echo_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document in ASCII. A number that is not defined (NaN) becomes null."""
    click.echo(json.dumps(_finite(document), indent=1, ensure_ascii=True, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inside) for inside in value]
    return value


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], limits: Mapping[int, int] | None = None
) -> str:
    """A table that fits the terminal, whose last column is wrapped between words.

    `limits` are largest widths of other columns, which are then wrapped too. No word is ever
    broken, so that a name can be copied; where one is too long, its line is longer than the
    terminal. Control characters are replaced by blanks.
    """
    most = dict(limits or {})
    clean = [[one_line(cell) for cell in row] for row in rows]
    cells = [
        [wrap(cell, most[place]).splitlines() if place in most else [cell]
         for place, cell in enumerate(row[:-1])]
        for row in clean
    ]  # fmt: skip
    widths = [
        max([len(head), *(len(line) for row in cells for line in row[place])])
        for place, head in enumerate(heads[:-1])
    ]
    left = max(screen_width() - sum(widths) - len(_GAP) * len(widths), _NARROWEST)
    for row, whole in zip(cells, clean, strict=True):
        row.append(wrap(whole[-1], left).splitlines())
    widths.append(max([len(heads[-1]), *(len(line) for row in cells for line in row[-1])]))
    lines = [
        _row(heads, widths),
        _row(["-" * width for width in widths], widths),
        *(_row(line, widths) for row in cells for line in zip_longest(*row, fillvalue="")),
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def wrap(text: str, width: int) -> str:
    """The text in lines of at most `width` characters, or of one word that is longer."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
