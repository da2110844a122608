"""How scores, and what one method gains over another, change with the repetition penalty."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.machine_readable import entry
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_RUN, NO_VALUE, data_notes, processor_notes, seed_notes
from lampbench.report.numbers import in_points, mean_number, score_number
from lampbench.report.setups import Column, Setup
from lampbench.report.sweeps import Sweep, SweepPoint
from lampbench.report.table import Cell, Section, Table

if TYPE_CHECKING:
    from lampbench.report.statistics import Paired

_BESIDE = ("words", "repetition", "truncated")
_NOTE = (
    "Penalty: decoding.repetition_penalty, of Keskar et al. (2019), which acts on the scores of "
    "decoding; everything else is equal. 1.0 is no penalty; there a method and the same method "
    "within V_head answer alike. V_head is the plausible set of equation 1."
)
_GAIN_NOTE = (
    "Points (0.01) with 95% intervals over users, paired by query, not adjusted for the number of "
    "comparisons. Two methods are compared on the seeds that both have, where there are any."
)


def penalty_sections(board: Board, sweeps: Sequence[Sweep]) -> list[Section]:
    """A section for each setup that has runs with several repetition penalties."""
    found = penalty_sweeps(sweeps)
    return [
        Section(board.section_title(setup), tuple(_tables(board, setup, found)))
        for setup in sorted({sweep.setup for sweep in found})
    ]


def penalty_sweeps(sweeps: Sequence[Sweep]) -> list[Sweep]:
    """The sweeps over the penalty, in the order in which tables show the methods."""
    study = cast().penalty
    order = [*study.methods, *sorted({sweep.method for sweep in sweeps} - {*study.methods})]
    found = [sweep for sweep in sweeps if sweep.path == study.parameter]
    return sorted(found, key=lambda sweep: order.index(sweep.method))


def _tables(board: Board, setup: Setup, sweeps: Sequence[Sweep]) -> Iterator[Table]:
    for column in sorted({sweep.column for sweep in sweeps if sweep.setup == setup}):
        members = [s for s in sweeps if (s.setup, s.column) == (setup, column)]
        for metric in PAPER_METRICS:
            yield _scores(board, column, members, metric)
            yield _gains(board, column, members, metric)
        for metric in _BESIDE:
            yield _means(board, column, members, metric)


def _scores(board: Board, column: Column, members: Sequence[Sweep], metric: str) -> Table:
    """Penalties by methods."""
    rows: list[tuple[Cell, ...]] = []
    entries: list[dict[str, Any]] = []
    for value, shown in _values(members):
        cells: list[Cell] = []
        for sweep in members:
            point = _at(sweep, value)
            score = point.scores.get(metric) if point else None
            cells.append(score_number(score) if score else NO_RUN)
            if point and score and score.mean is not None:
                entries.append(_entry(sweep, point, score))
        rows.append((shown, *cells))
    by_method = [
        (board.method_title(one.method), {p.shown: p.scores.get(metric) for p in one.points})
        for one in members
    ]
    notes = (
        _NOTE,
        *seed_notes(by_method),
        *processor_notes(by_method),
        *_about(board, column, members),
    )
    title = f"{board.column_title(column)}: {metric_title(metric)}"
    return Table(title, _header(board, members), tuple(rows), notes=notes, entries=lambda: entries)


def _gains(board: Board, column: Column, members: Sequence[Sweep], metric: str) -> Table:
    """Penalties by pairs of methods: what the first gains over the second."""
    by_method = {sweep.method: sweep for sweep in members}
    pairs = [
        (by_method[method], by_method[over])
        for method, over in cast().penalty.pairs
        if method in by_method and over in by_method
    ]
    rows: list[tuple[Cell, ...]] = []
    entries: list[dict[str, Any]] = []
    for value, shown in _values(members):
        cells: list[Cell] = []
        for ours, theirs in pairs:
            found = _paired(board, _at(ours, value), _at(theirs, value), metric)
            cells.append(in_points(found.difference) if found else NO_VALUE)
            if found:
                entries.append(_gain_entry(ours, theirs, value, metric, found))
        rows.append((shown, *cells))
    names = [
        f"{board.method_title(ours.method)} over {board.method_title(theirs.method)}"
        for ours, theirs in pairs
    ]
    title = f"{board.column_title(column)}: differences in {metric_title(metric)}"
    notes = (_GAIN_NOTE, *_about(board, column, members))
    return Table(title, ("Penalty", *names), tuple(rows), notes=notes, entries=lambda: entries)


def _means(board: Board, column: Column, members: Sequence[Sweep], metric: str) -> Table:
    """Penalties by methods, without intervals: what the penalty does to the answers."""
    rows = [
        (shown, *(mean_number(p.scores.get(metric)) if (p := _at(one, value)) else NO_RUN
                  for one in members))
        for value, shown in _values(members)
    ]  # fmt: skip
    title = f"{board.column_title(column)}: {metric_title(metric)}"
    notes = tuple(_about(board, column, members))
    return Table(title, _header(board, members), tuple(rows), notes=notes)


def _paired(
    board: Board, ours: SweepPoint | None, theirs: SweepPoint | None, metric: str
) -> "Paired | None":
    """The comparison of two points; None where either has no scores."""
    one, other = (point.scores.get(metric) if point else None for point in (ours, theirs))
    return board.paired(one, other) if one and other and one.scores and other.scores else None


def _header(board: Board, members: Sequence[Sweep]) -> tuple[str, ...]:
    return ("Penalty", *(board.method_title(one.method) for one in members))


def _about(board: Board, column: Column, members: Sequence[Sweep]) -> list[str]:
    return list(data_notes(board, [column], [one.setup for one in members]))


def _values(members: Sequence[Sweep]) -> list[tuple[Any, str]]:
    """Every penalty that a method has, the lowest first."""
    found = {point.value: point for sweep in members for point in sweep.points}
    default = {point.value for sweep in members for point in sweep.points if point.default}
    return [
        (value, f"{found[value].shown} (default)" if value in default else found[value].shown)
        for value in sorted(found)
    ]


def _at(sweep: Sweep, value: Any) -> SweepPoint | None:
    return next((point for point in sweep.points if point.value == value), None)


def _entry(sweep: Sweep, point: SweepPoint, score: CellScore) -> dict[str, Any]:
    return {
        **entry(point.method, sweep.column.task, score.metric, score, None),
        "penalty": point.value,
        "default": point.default,
    }


def _gain_entry(
    ours: Sweep, theirs: Sweep, value: Any, metric: str, found: "Paired"
) -> dict[str, Any]:
    """A difference for programs, in points."""
    shown = in_points(found.difference)
    point = _at(ours, value)
    assert point is not None
    return {
        **entry(ours.method, ours.column.task, metric, point.scores[metric], None),
        "baseline": theirs.method,
        "penalty": value,
        "points": shown.value,
        "points_low": shown.low,
        "points_high": shown.high,
        "p_exchange": found.exchange,
        "users_better": found.better,
        "users_worse": found.worse,
    }
