"""How much scores, and differences of methods, vary between users, queries and seeds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lampbench.report.board import Board
from lampbench.report.common_seeds import common_seeds, gaps_by_seed
from lampbench.report.machine_readable import entry
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_VALUE, data_notes, external_notes
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Number, Section, Table
from lampbench.report.tables.gains import planned_pairs

if TYPE_CHECKING:
    from lampbench.report.cell_scores import CellScore
    from lampbench.report.statistics import Scores
    from lampbench.report.variance_components import VarianceComponents

PARTS = ("user", "query", "seed", "user_seed", "rest")
SHARES = ("users", "queries", "seeds")
_NOTE = (
    "Standard deviations in points (0.01) of the parts of a score: mean + user + query of the user "
    "+ seed + user by seed + rest. Estimated by an analysis of variance with random effects "
    "(Henderson 1953, method 1; docs/statistics.md); an estimate below zero is 0. Shares: how much "
    "of the variance of the mean comes from there; more users, queries or seeds reduce it."
)
_ONE_SEED_NOTE = (
    f"With one seed, {NO_VALUE}: nothing is known of other seeds, and what they add is in Query."
)
_NOT_DRAWN_NOTE = 'Seeds "none": nothing is drawn, so that all seeds give the same.'


def variance_sections(board: Board) -> list[Section]:
    """A section for each setup, with two tables per metric: of differences, and of scores."""
    return board.sections(lambda setup: _tables(board, setup))


def _tables(board: Board, setup: Setup) -> Iterator[Table]:
    for metric in PAPER_METRICS:
        pairs = [
            (column, ours, theirs)
            for column in board.text_columns(setup)
            for method, over in planned_pairs()
            if (ours := board.cell(setup, column, method, metric))
            and (theirs := board.cell(setup, column, over, metric))
        ]
        if table := _table(board, f"{metric_title(metric)}, differences", "Pair", pairs):
            yield table
        scores = [
            (column, score, None)
            for column in board.text_columns(setup)
            for method in board.methods()
            if (score := board.cell(setup, column, method, metric))
        ]
        if table := _table(board, f"{metric_title(metric)}, scores", "Method", scores):
            yield table


def _table(
    board: Board,
    title: str,
    of: str,
    cells: Sequence[tuple[Column, "CellScore", "CellScore | None"]],
) -> Table | None:
    from lampbench.report.variance_components import variance_components

    rows: list[tuple[Cell, ...]] = []
    shown, columns, entries = [], [], []
    for column, ours, theirs in cells:
        by_seed = gaps_by_seed(ours, theirs) if theirs else _of_one(ours)
        if not by_seed:
            continue
        found = variance_components(by_seed)
        drawn = ours.draws or (theirs is not None and theirs.draws)
        named = [score.method_title for score in (ours, theirs) if score]
        shown += named
        columns.append(column)
        rows.append((board.column_title(column), " over ".join(named), *_cells(found, drawn)))
        entries.append(_entry(found, ours, theirs, list(by_seed)))
    if not rows:
        return None
    header = ("Task", of, "Users", "Queries", "Seeds", "SD: user", "query", "seed", "user by seed",
              "rest", "Share: users %", "queries %", "seeds %")  # fmt: skip
    seeds = [row[4] for row in rows]
    notes = [_NOTE]
    notes += [_ONE_SEED_NOTE] if "1" in seeds else []
    notes += [_NOT_DRAWN_NOTE] if "none" in seeds else []
    notes += [
        *data_notes(board, columns, [ours.setup for _, ours, _ in cells]),
        *external_notes(shown),
    ]
    return Table(title, header, tuple(rows), 2, tuple(notes), lambda: entries)


def _of_one(score: "CellScore") -> "Mapping[int, Scores]":
    """One method's scores by seed: a single one, where it draws nothing."""
    return {seed: score.by_seed[seed] for seed in common_seeds([score.chosen]) if score.scores}


def _cells(found: "VarianceComponents", drawn: bool) -> tuple[Cell, ...]:
    parts = [_number(100 * math.sqrt(getattr(found, name)), 2) for name in PARTS]
    shares = found.shares()
    return (
        str(found.users),
        str(found.queries),
        str(found.seeds) if drawn else "none",
        *parts,
        *(_number(100 * shares[name], 0) for name in SHARES),
    )


def _number(value: float, digits: int) -> Cell:
    return NO_VALUE if math.isnan(value) else Number(value, digits)


def _entry(
    found: "VarianceComponents", ours: "CellScore", theirs: "CellScore | None", seeds: list[int]
) -> dict[str, Any]:
    """Components for programs: variances of scores, null where they cannot be estimated."""
    parts = {f"variance_{name}": _known(getattr(found, name)) for name in PARTS}
    shares = {f"share_{name}": _known(value) for name, value in found.shares().items()}
    return {
        **entry(ours.method, ours.column.task, ours.metric, ours, None),
        "baseline": theirs.method if theirs else None,
        "common_seeds": seeds,
        **parts,
        **shares,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
