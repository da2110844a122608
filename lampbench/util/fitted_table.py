"""Tables of text: as wide as they are in files and pipes, and within the width of a terminal."""

import textwrap
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from lampbench.util.terminal import terminal_width

_GAP = 2
_PADDING = 2
"""What tabulate adds to the width of a heading."""


def fitted_table(
    rows: Sequence[Sequence[Any]], headers: Sequence[str], *, repeated: int = 1, **options: Any
) -> str:
    """A table by `tabulate`, with its `options`.

    On a terminal that is too narrow for it there are several tables under each other, each with
    some of the columns; the first `repeated` columns begin all of them, or the first alone where
    there is no room. Where a column is too wide beside it, cells are wrapped.
    """
    whole = tabulate(rows, headers=headers, **options)
    width = terminal_width()
    if width is None or _width(whole) <= width:
        return whole
    most = min(repeated, len(headers) - 1)
    first = next(
        (list(range(n)) for n in range(most, 1, -1) if _fit(rows, headers, n, options, width)),
        list(range(min(most, 1))),
    )
    left, blocks = list(range(len(first), len(headers))), []
    while left:
        count = len(left)
        while count > 1 and _width(_part(rows, headers, first + left[:count], options)) > width:
            count -= 1
        taken, left = first + left[:count], left[count:]
        blocks.append(_part(rows, headers, taken, options, width))
    return "\n\n".join(blocks)


def _fit(
    rows: Sequence[Sequence[Any]],
    headers: Sequence[str],
    repeated: int,
    options: dict[str, Any],
    width: int,
) -> bool:
    """Whether every further column fits beside the first ones."""
    first = list(range(repeated))
    parts = (_part(rows, headers, [*first, i], options) for i in range(repeated, len(headers)))
    return all(_width(part) <= width for part in parts)


def _part(
    rows: Sequence[Sequence[Any]],
    headers: Sequence[str],
    columns: Sequence[int],
    options: dict[str, Any],
    width: int | None = None,
) -> str:
    """The table of some columns; with a `width` its cells are wrapped where it is wider."""
    cells = [[row[i] for i in columns] for row in rows]
    heads = [headers[i] for i in columns]
    known = dict(options)
    if alignments := known.get("colalign"):
        known["colalign"] = [alignments[i] for i in columns]
    text = tabulate(cells, headers=heads, **known)
    if width is None or _width(text) <= width:
        return text
    most = max((width - _GAP * (len(columns) - 1)) // len(columns) - _PADDING, 1)
    wrapped = [[_wrapped(cell, most) for cell in row] for row in cells]
    known = {name: value for name, value in known.items() if name == "colalign"}
    return tabulate(
        wrapped, headers=[_wrapped(head, most) for head in heads], disable_numparse=True, **known
    )


def _wrapped(cell: Any, width: int) -> str:
    return textwrap.fill(str(cell), width) or ""


def _width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def fitted_text(text: str) -> str:
    """A paragraph, broken between words on a terminal, which would break them anywhere."""
    width = terminal_width()
    if width is None:
        return text
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
