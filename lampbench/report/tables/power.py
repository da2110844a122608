"""The smallest difference between two methods that the queries of a task can detect."""

from typing import Any

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.metric_format import MAIN_METRIC, PAPER_METRICS, metric_title
from lampbench.report.notes import NO_VALUE, data_notes, external_notes
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Number, Section, Table

_DIGITS = 4
_NOTE = (
    "Half width: about how large a measured difference must be for its 95% interval to exclude "
    "zero. Detectable: the smallest true difference for which that happens with 80% power "
    "(docs/statistics.md). The pair: the last two of the paper's methods that have run, or others "
    "where these have not."
)


def power_sections(board: Board) -> list[Section]:
    """A section for each setup, but for tasks whose answers are from a fixed set."""
    return board.sections(
        lambda setup: [power_table(board, setup)] if board.text_columns(setup) else []
    )


def power_table(board: Board, setup: Setup) -> Table:
    """The smallest differences of each column of a setup, for one pair of methods per column."""
    rows: list[tuple[Cell, ...]] = []
    shown: list[str] = []
    entries = []
    for column in board.text_columns(setup):
        found = power(board, setup, column)
        entries.append(found)
        names = [found["power_method"], found["power_baseline"]]
        titles = [board.method_title(name) for name in names if name]
        pair = " over ".join(titles) or NO_VALUE
        shown += titles
        numbers = [
            _number(found[f"{kind}_{metric}"])
            for metric in PAPER_METRICS
            for kind in ("half_width", "detectable")
        ]
        title = board.column_title(column)
        rows.append((title, pair, str(found["users"]), str(found["queries"]), *numbers))
    header = ["Task", "Pair", "Test users", "Queries"]
    for metric in PAPER_METRICS:
        title = metric_title(metric)
        header += [f"{title} half width", f"{title} detectable"]
    notes = [
        _NOTE,
        *data_notes(board, board.text_columns(setup), [setup]),
        *external_notes(shown),
    ]
    return Table(
        "Smallest differences", tuple(header), tuple(rows), 2, tuple(notes), lambda: entries
    )


def power(board: Board, setup: Setup, column: Column) -> dict[str, Any]:
    """A column's row for programs, as differences of scores.

    They are None where fewer than two methods have run, and where there is only one query.
    """
    scored = [
        method
        for method in board.methods()
        if (cell := board.cell(setup, column, method, MAIN_METRIC)) and cell.scores
    ]
    # the paper's methods last, so that the pair comes from them where two have run
    pair = sorted(scored, key=lambda method: method in cast().main)[-2:]
    theirs, ours = pair if len(pair) == 2 else (None, None)
    first = board.first(setup, column)
    found: dict[str, Any] = {
        "task": column.task,
        "model": setup.model,
        "data": setup.source,
        "data_fingerprint": column.fingerprint,
        "query_fingerprint": column.query_fingerprint,
        "synthetic": first.synthetic,
        "data_findings": board.findings(column),
        "model_notes": board.model_notes(setup),
        "users": first.users,
        "queries": first.queries,
        "power_method": ours,
        "power_baseline": theirs,
    }
    for metric in PAPER_METRICS:
        half_width = detectable = None
        cells = [board.cell(setup, column, m, metric) for m in (ours, theirs) if m is not None]
        scores = [cell for cell in cells if cell and cell.scores]
        if len(scores) == 2 and scores[0].interval is not None:
            paired = board.paired(*scores)
            half_width, detectable = paired.difference.half_width, paired.detectable
        found |= {f"half_width_{metric}": half_width, f"detectable_{metric}": detectable}
    return found


def _number(value: float | None) -> Cell:
    return NO_VALUE if value is None else Number(value, _DIGITS)
