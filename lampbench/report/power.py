"""How small a difference between two methods a task's queries can tell from none."""

from typing import Any

from lampbench.report.board import ORDER, Board
from lampbench.report.cell_scores import Column, Setup
from lampbench.report.method_grid import NO_VALUE, SYNTHETIC_NOTE, external_notes
from lampbench.report.table import Cell, Number, Table
from lampbench.scoring.catalog import METRICS

METRICS_SHOWN = ("rouge1", "rougeL")
DIGITS = 4
NOTE = (
    "Half width: about how large a measured difference must be for its 95% interval to leave out "
    "zero. Detectable: the smallest true difference for which that happens with 80% power "
    "(docs/statistics.md). The pair: the last two of the paper's methods that have run, or others "
    "where these have not."
)


def power_table(board: Board, setup: Setup) -> Table:
    """The smallest differences of each column of a setup, between the pair that stands there."""
    rows: list[tuple[Cell, ...]] = []
    shown: list[str] = []
    for column in board.columns(setup):
        found = power(board, setup, column)
        names = [found["power_method"], found["power_baseline"]]
        titles = [board.method_title(name) for name in names if name]
        pair = " over ".join(titles) or NO_VALUE
        shown += titles
        record = next(r for r in board.records if (r.setup, r.column) == (setup, column))
        numbers = [
            _number(found[f"{kind}_{metric}"])
            for metric in METRICS_SHOWN
            for kind in ("half_width", "detectable")
        ]
        title = board.column_title(column)
        rows.append((title, pair, str(record.users), str(record.queries), *numbers))
    header = ["Task", "Pair", "Test users", "Queries"]
    for metric in METRICS_SHOWN:
        title = METRICS[metric].title
        header += [f"{title} half width", f"{title} detectable"]
    notes = [NOTE] + ([SYNTHETIC_NOTE] if board.synthetic(board.columns(setup)) else [])
    notes += external_notes(shown)
    return Table("Smallest differences", tuple(header), tuple(rows), 2, tuple(notes))


def power(board: Board, setup: Setup, column: Column) -> dict[str, Any]:
    """A column's row for programs, in scores; null where no two methods have run or one query
    leaves the interval open.
    """
    scored = [
        method
        for method in board.methods()
        if (cell := board.cell(setup, column, method, "rougeL")) and cell.scores
    ]
    # the paper's methods last, so that the pair comes from them where two have run
    pair = sorted(scored, key=lambda method: method in ORDER)[-2:]
    theirs, ours = pair if len(pair) == 2 else (None, None)
    found: dict[str, Any] = {"power_method": ours, "power_baseline": theirs}
    for metric in METRICS_SHOWN:
        half_width = detectable = None
        cells = [board.cell(setup, column, m, metric) for m in (ours, theirs) if m is not None]
        records = [cell for cell in cells if cell and cell.scores]
        if len(records) == 2 and records[0].interval is not None:
            paired = board.paired(*records)
            half_width, detectable = paired.difference.half_width, paired.detectable
        found |= {f"half_width_{metric}": half_width, f"detectable_{metric}": detectable}
    return found


def _number(value: float | None) -> Cell:
    return NO_VALUE if value is None else Number(value, DIGITS)
