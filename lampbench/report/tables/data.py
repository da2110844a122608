"""What the columns are made of: fingerprints, counts and lengths (Table 4)."""

from collections.abc import Mapping
from typing import Any

from lampbench.data.dataset_statistics import MeanAndSd
from lampbench.paper.published import DataRow, paper
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.notes import NO_FIGURE, NO_VALUE, data_notes
from lampbench.report.setups import Setup
from lampbench.report.table import Cell, Section, Table

SPREADS = {
    "train_in": "L_in",
    "train_out": "L_out",
    "profile": "#Profile",
    "profile_in": "L_in (user)",
    "profile_out": "L_out (user)",
}
"""Columns of Table 4 that are mean and standard deviation, by their names in manifests."""
STATISTICS_NOTE = (
    "Mean ± standard deviation. #Train, L_in, L_out: queries of the training users; #Profile and "
    "(user): histories of the test users. Lengths are words of whole prompts and targets; the "
    "paper's (Table 4) are tokens of a tokenizer that it does not name."
)

Pair = tuple[float, float]


def data_sections(board: Board) -> list[Section]:
    """A section for each setup."""
    return board.sections(
        lambda setup: [fingerprint_table(board, setup), statistics_table(board, setup)]
    )


def fingerprint_table(board: Board, setup: Setup) -> Table:
    """Which data the columns of a setup hold."""
    rows = []
    for column in board.columns(setup):
        score = board.first(setup, column)
        counts = (str(score.users), str(score.queries))
        prints = (column.fingerprint, column.query_fingerprint)
        rows.append((board.column_title(column), *prints, *counts))
    header = ("Task", "Data fingerprint", "Query fingerprint", "Test users", "Queries")
    notes = data_notes(board, board.columns(setup), [setup])
    return Table("Fingerprints", header, tuple(rows), labels=3, notes=tuple(notes))


def statistics_table(board: Board, setup: Setup) -> Table:
    """The paper's Table 4 for the data of a setup, the paper's own row below each of ours."""
    rows: list[tuple[Cell, ...]] = []
    entries = []
    for column in board.columns(setup):
        score = board.first(setup, column)
        found = score.chosen[0].manifest.dataset.statistics
        title = board.column_title(column)
        spreads = {name: _known(getattr(found, name)) for name in SPREADS}
        counts = (str(score.users), str(score.queries))
        train = f"{found.train:,}"
        rows.append((title, train, *(_pair(spreads[name]) for name in SPREADS), *counts))
        printed = paper().data.get(column.task)
        if printed:
            pairs = [_pair(getattr(printed, name)) for name in SPREADS]
            rows.append((f"{title}, paper", f"{printed.train:,}", *pairs, "100", NO_FIGURE))
        entries.append(_entry(score, found.train, spreads, printed))
    header = ("Task", "#Train", *SPREADS.values(), "Test users", "Queries")
    notes = [STATISTICS_NOTE, *data_notes(board, board.columns(setup), [setup])]
    return Table("Statistics", header, tuple(rows), notes=tuple(notes), entries=lambda: entries)


def _known(spread: MeanAndSd) -> Pair | None:
    return (spread.mean, spread.sd) if spread.count else None


def _pair(pair: Pair | None) -> str:
    return f"{pair[0]:,.1f} ± {pair[1]:,.1f}" if pair else NO_VALUE


def _entry(
    score: CellScore, train: int, spreads: Mapping[str, Pair | None], printed: DataRow | None
) -> dict[str, Any]:
    return {
        "task": score.column.task,
        "data": score.setup.source,
        "data_fingerprint": score.column.fingerprint,
        "query_fingerprint": score.column.query_fingerprint,
        "synthetic": score.synthetic,
        "data_findings": score.findings,
        "model_notes": score.model_notes,
        "users": score.users,
        "queries": score.queries,
        "train": train,
        **{f"{n}_mean": pair[0] if pair else None for n, pair in spreads.items()},
        **{f"{n}_sd": pair[1] if pair else None for n, pair in spreads.items()},
        "published_train": printed.train if printed else None,
        **{f"published_{n}_mean": getattr(printed, n)[0] if printed else None for n in SPREADS},
        **{f"published_{n}_sd": getattr(printed, n)[1] if printed else None for n in SPREADS},
    }
