"""The text of `lampbench overview`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lampbench.report.board import Board
    from lampbench.report.cell_scores import CellScore
    from lampbench.report.example_answers import AnsweredQuery
    from lampbench.report.table import Cell

_HISTORY = 3  # texts of the user's history that are shown
_TEXT = 160  # characters of a user's text or of a query that are shown


def lines(
    board: "Board", title: str, cells: Sequence["CellScore"], example: "AnsweredQuery"
) -> Iterator[str]:
    """A table of the methods' cells, each compared with the first, and one example."""
    from lampbench.report.example_answers import differing
    from lampbench.report.notes import data_notes, external_notes
    from lampbench.report.table import one_line

    first, last = cells[0], cells[-1]
    yield f"\n{one_line(title)}: {first.users} users, {first.queries} queries\n"
    yield _table(board, cells)
    yield from map(one_line, data_notes(board, [first.column], [first.setup]))
    yield from external_notes(cell.method_title for cell in cells)
    ours, theirs = (one_line(cell.method_title) for cell in (last, first))
    if differ := differing(first, last):
        yield (
            f"\nExample: {ours} and {theirs} differ in ROUGE-L on {len(differ)} of "
            f"{first.queries} queries; this is the one with {ours}'s median gain.\n"
        )
    else:
        yield (
            f"\nExample: {ours} and {theirs} differ in ROUGE-L on no query; this one was chosen "
            "by a hash of its name.\n"
        )
    yield from _example(example)
    yield "\nRuns:"
    yield from (f"  {run.path}" for cell in cells for run in cell.chosen)


def _table(board: "Board", cells: Sequence["CellScore"]) -> str:

    from lampbench.report.notes import NO_VALUE
    from lampbench.report.numbers import difference_number, score_number, span
    from lampbench.report.statistics import POWER
    from lampbench.report.table import one_line
    from lampbench.util.fitted_table import fitted_table

    first = cells[0]
    rows = []
    for cell in cells:
        other = board.cell(cell.setup, cell.column, cell.method, "rouge1")
        row = [one_line(cell.method_title), _shown(score_number(other) if other else NO_VALUE),
               _shown(score_number(cell))]  # fmt: skip
        if cell is first:
            row += [""] * 6
        elif not (cell.scores and first.scores):
            row += [NO_VALUE] * 6
        else:
            found = board.paired(cell, first)
            spread = board.seed_spread(cell, first)
            row += [
                _shown(difference_number(found.difference)),
                span(spread.differences) if spread else NO_VALUE,
                NO_VALUE if found.detectable is None else f"{found.detectable:.3f}",
                *(str(count) for count in (found.better, found.equal, found.worse)),
            ]
        rows.append(row)
    gain = f"gain over {one_line(first.method_title)}"
    heads = ["", "ROUGE-1", "ROUGE-L", gain, "by seed", "detectable", "users better", "equal",
             "worse"]  # fmt: skip
    return (
        f"{fitted_table(rows, heads, disable_numparse=True)}\n\n"
        f"Means over queries with 95% intervals. {gain}: in ROUGE-L, on the same queries. "
        "by seed: the lowest and\nthe highest with one seed. detectable: the smallest true "
        f"difference that these queries would show at the\n5% level with {POWER:.0%} power "
        "(docs/statistics.md)."
    )


def _shown(cell: "Cell") -> str:
    return cell if isinstance(cell, str) else f"{cell.text()} {cell.interval()}".rstrip()


def _example(found: "AnsweredQuery") -> Iterator[str]:
    from lampbench.report.table import one_line, shortened

    rows = [("user, query", shortened(f"{found.user}, {found.query}", _TEXT))]
    earlier = found.history[-_HISTORY:] or ["not recorded"]
    for place, text in enumerate(earlier):
        rows.append(("" if place else "wrote before", shortened(text, _TEXT)))
    for name, text in found.fields or [("query", "not recorded")]:
        rows.append((shortened(name, _TEXT), shortened(text, _TEXT)))
    rows.append(
        ("user's own", "withheld" if found.reference is None else one_line(found.reference))
    )
    for answer in found.answers:
        score = "" if answer.score is None else f" {answer.score:.3f}"
        rows.append((f"{one_line(answer.title)}{score}", _marked(answer.pieces)))
    width = max(len(label) for label, _ in rows)
    yield from (f"  {label:{width}}  {text}" for label, text in rows)
    yield "\n  [word]: also in the user's own text, counted as in ROUGE-1"


def _marked(parts: Sequence[str]) -> str:
    """Every second piece is a shared word. click drops the colour where stdout is no terminal."""
    return "".join(
        click.style(f"[{part}]", fg="green", bold=True) if number % 2 else part
        for number, part in enumerate(parts)
    )
