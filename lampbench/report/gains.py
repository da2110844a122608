"""What a method gains over a baseline, task by task, and for how many users."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lampbench.paper.published import paper
from lampbench.report.board import Board
from lampbench.report.cell_scores import PRINTED, Record, Setup, main_model
from lampbench.report.machine_readable import entry
from lampbench.report.method_grid import NO_FIGURE, NO_VALUE, SYNTHETIC_NOTE
from lampbench.report.table import Cell, Number, Table
from lampbench.scoring.aggregate import mean
from lampbench.scoring.catalog import METRICS

METRICS_SHOWN = ("rouge1", "rougeL", "meteor")
HEADER = (
    "Task", "Metric", "Points", "Detectable", "Relative %", "paper %", "p (bootstrap)",
    "p (exchange)", "p (Holm)", "Users better", "equal", "worse",
)  # fmt: skip
NOTE = (
    "A point is 0.01. Interval and both p-values are paired by query, users drawn first; Holm "
    "adjusts p (exchange) over the table. Detectable: the smallest true difference, in points, "
    "found at 5% with 80% power (docs/statistics.md). A user is better off if the user's mean is "
    "higher."
)
MEAN_NOTE = (
    "Means over tasks are of the tasks' own differences, as the paper computes its gains "
    "(+10.57% over TAM, +5.67% over OPPU in ROUGE-L); the paper's column follows from its tables."
)


def claimed_pairs() -> list[tuple[str, str]]:
    """The methods, each with its baseline, whose gains the paper states."""
    return list(dict.fromkeys((claim.method, claim.over) for claim in paper().claims))


def gain_tables(board: Board, setup: Setup, pairs: Iterable[tuple[str, str]]) -> Iterator[Table]:
    """A table for each pair (method, baseline) of which a task of the setup has both."""
    for method, baseline in pairs:
        table = _gain_table(board, setup, method, baseline)
        if table.rows:
            yield table


def _gain_table(board: Board, setup: Setup, method: str, baseline: str) -> Table:
    from lampbench.report.statistics import holm

    cells = [
        (ours, theirs)
        for metric in METRICS_SHOWN
        for column in board.columns(setup)
        if (ours := board.cell(setup, column, method, metric))
        and (theirs := board.cell(setup, column, baseline, metric))
        and ours.scores
        and theirs.scores
    ]
    adjusted = holm([board.paired(ours, theirs).exchange for ours, theirs in cells])
    entries = [_entry(board, *cell, p) for cell, p in zip(cells, adjusted, strict=True)]
    rows = [_row(board, ours, found) for (ours, _), found in zip(cells, entries, strict=True)]
    for metric in METRICS_SHOWN:
        of = [found for found in entries if found["metric"] == metric]
        if len(of) > 1:
            rows.append(_mean_row(of))
    title = f"{board.method_title(method)} over {board.method_title(baseline)}"
    notes = [NOTE] + ([MEAN_NOTE] if len(rows) > len(cells) else [])
    if board.synthetic([ours.column for ours, _ in cells]):
        notes.append(SYNTHETIC_NOTE)
    return Table(title, HEADER, tuple(rows), 2, tuple(notes), tuple(entries))


def _entry(board: Board, ours: Record, theirs: Record, adjusted: float) -> dict[str, Any]:
    """A row for programs. `published` is the paper's relative gain in percent."""
    found = board.paired(ours, theirs)
    interval, bounded = found.difference, ours.interval is not None
    return {
        **entry(ours.method, ours.column.task, ours.metric, ours, None),
        "published": _printed(ours, theirs.method),
        "baseline": theirs.method,
        "baseline_mean": theirs.mean,
        "points": 100 * interval.mean,
        "points_low": 100 * interval.low if bounded else None,
        "points_high": 100 * interval.high if bounded else None,
        "points_half_width": 100 * interval.half_width if bounded else None,
        "points_detectable": 100 * found.detectable if bounded else None,
        "relative": _relative(ours.mean, theirs.mean),
        "p_bootstrap": found.bootstrap,
        "p_exchange": found.exchange,
        "p_holm": adjusted,
        "users_better": found.better,
        "users_equal": found.equal,
        "users_worse": found.worse,
    }


def _row(board: Board, ours: Record, found: Mapping[str, Any]) -> tuple[Cell, ...]:
    ends = {"low": found["points_low"], "high": found["points_high"]}
    return (
        board.column_title(ours.column),
        METRICS[ours.metric].title,
        Number(found["points"], 2, **ends, signed=True),
        _hundredths(found["points_detectable"], NO_VALUE, signed=False),
        _hundredths(found["relative"], NO_VALUE),
        _hundredths(found["published"], NO_FIGURE),
        *(Number(found[name]) for name in ("p_bootstrap", "p_exchange", "p_holm")),
        *(str(found[name]) for name in ("users_better", "users_equal", "users_worse")),
    )


def _mean_row(entries: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    return (
        f"Mean of {len(entries)}",
        METRICS[entries[0]["metric"]].title,
        Number(mean(found["points"] for found in entries), 2, signed=True),
        "",
        _hundredths(_whole_mean([found["relative"] for found in entries]), NO_VALUE),
        _hundredths(_whole_mean([found["published"] for found in entries]), NO_FIGURE),
        *[""] * 6,
    )


def _relative(ours: float | None, theirs: float | None) -> float | None:
    """By how many percent one mean is above another."""
    return 100 * (ours / theirs - 1) if ours is not None and theirs else None


def _printed(ours: Record, baseline: str) -> float | None:
    """The gain that follows from the paper's figures, for the model whose figures stand beside."""
    where = (ours.column.task, ours.paper_model or main_model(), ours.metric)
    one, other = (paper().find(PRINTED, name, *where) for name in (ours.method, baseline))
    return _relative(one.value, other.value) if one and other else None


def _whole_mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _hundredths(value: float | None, missing: str, *, signed: bool = True) -> Cell:
    return missing if value is None else Number(value, 2, signed=signed)
