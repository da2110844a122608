"""Tables as LaTeX, ready to paste into a paper that loads `adjustbox` and `booktabs`."""

import re
from collections.abc import Iterable

from lampbench.report.table import Cell, Section, Table, one_line

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    # after a line's end, a bracket would be taken for the end's argument
    "[": "{[}", "]": "{]}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "†": r"$^{\dagger}$", "≈": r"$^{\approx}$", "±": r"$\pm$", "—": "---",
}  # fmt: skip
_ESCAPED = re.compile("|".join(re.escape(character) for character in _ESCAPES))


def as_latex(sections: Iterable[Section], name: str) -> str:
    """One floating table for each table; labels are `tab:NAME-1`, `tab:NAME-2` and so on."""
    shown = [(section.title, table) for section in sections for table in section.tables]
    floats = [
        _float(table, title, f"tab:{name}-{number}")
        for number, (title, table) in enumerate(shown, start=1)
    ]
    return "\n".join(["% needs \\usepackage{adjustbox, booktabs}\n", *floats])


def _escape(text: str) -> str:
    """Text that LaTeX typesets as it is, on one line."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], one_line(text))


def _float(table: Table, section: str, label: str) -> str:
    caption = ". ".join(_escape(text) for text in (table.title, section) if text)
    columns = "l" * table.labels + "r" * (len(table.header) - table.labels)
    lines = [
        r"\begin{table*}[t]",
        r"\centering",
        r"\small",
        rf"\caption{{{caption}.}}",
        rf"\label{{{label}}}",
        r"\begin{adjustbox}{max width=\textwidth}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line([_escape(text) for text in table.header]),
        r"\midrule",
        *(_line([_cell(cell) for cell in row]) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{adjustbox}",
        *(rf"\par\smallskip{{\footnotesize {_escape(note)}}}" for note in table.notes),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _cell(cell: Cell) -> str:
    if isinstance(cell, str):
        return _escape(cell)
    text = _escape(cell.text()).replace("-", "$-$")
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    if cell.mark == "near":
        text += _ESCAPES["≈"]
    if cell.noted:
        text += "*"
    interval = cell.interval().replace("-", "$-$")
    return rf"{text} {{\scriptsize {interval}}}" if interval else text


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
