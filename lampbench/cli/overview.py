"""`lampbench overview`: a few methods on one task, in a table and one example."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lampbench.cli import options
from lampbench.paper.cast import cast

if TYPE_CHECKING:
    from lampbench.report.board import Board
    from lampbench.report.cell_scores import CellScore, Column, Setup
    from lampbench.report.examples import Example, Pick
    from lampbench.report.table import Cell

METRIC = "rougeL"
"""What methods are held against each other by."""
_HISTORY = 3  # texts of the user's history that are shown
_TEXT = 160  # characters of what the user wrote and was asked that are shown


@click.command()
@click.option("--task", required=True, metavar="NAME", help="Task whose runs are shown.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    default=cast().overview,
    show_default=True,
    metavar="NAME",
    help="Method to show; may be repeated. All are held against the first.",
)
@click.option("--model", metavar="MODEL", help="Model of the runs, where there are several.")
@options.results
def overview(task: str, methods: tuple[str, ...], model: str | None, results: Path) -> None:
    """Print recorded scores of several methods on one task, and one example.

    Shown is all data that every one of the methods has answered. The example is the query of the
    last method's median gain over the first; words shared with what the user wrote are marked.
    """
    from lampbench.cli.loading import recorded
    from lampbench.report.find_runs import find_columns
    from lampbench.util.errors import LampbenchError

    methods = tuple(dict.fromkeys(methods))
    if len(methods) < 2:
        raise LampbenchError("an overview holds methods against each other: name two with --method")
    board = recorded(results).board
    there = find_columns(board, results, task, model)
    shown = [place for place in there if not _missing(board, *place, methods)]
    if not shown:
        lacking = min((_missing(board, *place, methods) for place in there), key=len)
        raise LampbenchError(
            f"{results} holds no run of {', '.join(lacking)} on data of {task} that the others "
            "answered: run it, or name other methods with --method"
        )
    for setup, column in shown:
        for line in _lines(board, setup, column, methods, results):
            click.echo(line)


def _missing(board: "Board", setup: "Setup", column: "Column", methods: Sequence[str]) -> list[str]:
    return [method for method in methods if not board.cell(setup, column, method, METRIC)]


def _lines(
    board: "Board", setup: "Setup", column: "Column", methods: Sequence[str], results: Path
) -> Iterator[str]:
    from lampbench.report.examples import differing, examples
    from lampbench.report.notes import SYNTHETIC_NOTE, external_notes
    from lampbench.report.table import one_line

    cells = [cell for m in methods if (cell := board.cell(setup, column, m, METRIC))]
    first, last = cells[0], cells[-1]
    title = f"{board.column_title(column)}, {board.section_title(setup)}"
    yield f"\n{one_line(title)}: {first.users} users, {first.queries} queries\n"
    yield _table(board, cells)
    if first.synthetic:
        yield SYNTHETIC_NOTE
    yield from external_notes(cell.method_title for cell in cells)
    ours, theirs = (one_line(cell.method_title) for cell in (last, first))
    differ = differing(first, last)
    pick: Pick = "median" if differ else "drawn"
    if differ:
        rule = (
            f"Of the {len(differ)} of {first.queries} queries where {ours} and {theirs} differ in "
            f"ROUGE-L, the one with {ours}'s median gain:"
        )
    else:
        rule = (
            f"{ours} and {theirs} differ on no query in ROUGE-L; one drawn by a hash of its name:"
        )
    yield f"\n{rule}\n"
    yield from _example(examples(board, results, column, setup, methods, pick, 1)[0])
    yield "\nRuns:"
    yield from (f"  {run.path}" for cell in cells for run in cell.chosen)


def _table(board: "Board", cells: Sequence["CellScore"]) -> str:
    from tabulate import tabulate

    from lampbench.report.notes import NO_VALUE
    from lampbench.report.numbers import score_number
    from lampbench.report.statistics import POWER
    from lampbench.report.table import Number, one_line

    first = cells[0]
    rows = []
    for cell in cells:
        other = board.cell(cell.setup, cell.column, cell.method, "rouge1")
        row = [one_line(cell.method_title), _shown(score_number(other) if other else NO_VALUE),
               _shown(score_number(cell))]  # fmt: skip
        if cell is first:
            row += [""] * 5
        elif not (cell.scores and first.scores):
            row += [NO_VALUE] * 5
        else:
            found = board.paired(cell, first)
            gap, bounded = found.difference, cell.interval is not None
            ends = (gap.low, gap.high) if bounded else (None, None)
            row += [
                _shown(Number(gap.mean, low=ends[0], high=ends[1], signed=True)),
                f"{found.detectable:.3f}" if bounded else NO_VALUE,
                *(str(count) for count in (found.better, found.equal, found.worse)),
            ]
        rows.append(row)
    over = f"over {one_line(first.method_title)}"
    heads = ["", "ROUGE-1", "ROUGE-L", over, "detectable", "users better", "equal", "worse"]
    return (
        f"{tabulate(rows, headers=heads, disable_numparse=True)}\n\n"
        f"Means over queries, 95% intervals. {over[0].upper()}{over[1:]}: ROUGE-L, query by query; "
        f"detectable: the smallest\ntrue difference that these queries find at 5% with {POWER:.0%} "
        "power (docs/statistics.md)."
    )


def _shown(cell: "Cell") -> str:
    return cell if isinstance(cell, str) else f"{cell.text()} {cell.interval()}".rstrip()


def _example(found: "Example") -> Iterator[str]:
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
    yield "\n  [word]: stands in the user's own text too, as ROUGE-1 counts words"


def _marked(parts: Sequence[str]) -> str:
    """Every second piece is a shared word. Where stdout is no terminal, click drops the colour."""
    return "".join(
        click.style(f"[{part}]", fg="green", bold=True) if number % 2 else part
        for number, part in enumerate(parts)
    )
