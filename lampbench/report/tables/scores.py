"""Every score in full: both means, lengths, truncation, repetition and seeds."""

from collections.abc import Iterable

from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.machine_readable import entries
from lampbench.report.metric_format import is_goal, metric_title
from lampbench.report.notes import NO_VALUE, data_notes, external_notes
from lampbench.report.numbers import mean_number, user_number
from lampbench.report.setups import Setup
from lampbench.report.table import Cell, Section, Table
from lampbench.scoring.catalog import CONTROLS


def score_sections(board: Board) -> list[Section]:
    """A section for each setup."""
    return board.sections(lambda setup: [score_table(board, setup)])


def score_table(board: Board, setup: Setup) -> Table:
    """Every score of a setup with lengths, truncation and seeds, one row per task and method."""
    header = ["Task", "Method"]
    for name in CONTROLS:
        title = metric_title(name)
        header += [title, f"{title}, by user"] if is_goal(name) else [title]
    rows, shown = [], []
    for column in board.columns(setup):
        for method in board.methods():
            cells = {name: board.cell(setup, column, method, name) for name in CONTROLS}
            seeds = max(len(cell.seeds) if cell else 0 for cell in cells.values())
            if seeds == 0:
                continue
            row: list[Cell] = [board.column_title(column), board.method_title(method)]
            for name, cell in cells.items():
                row.append(mean_number(cell))
                if is_goal(name):
                    row.append(user_number(cell) if cell else NO_VALUE)
                shown += [cell] if cell else []
            rows.append((*row, str(seeds)))
    notes = data_notes(board, board.columns(setup), [setup])
    if any(NO_VALUE in row for row in rows):
        notes.append(
            f"{NO_VALUE}: could not be computed when the run was scored (METEOR needs NLTK's data)."
        )
    if mixed := _mixed_versions(score for score in board.scores if score.setup == setup):
        notes.append(f"These runs were made with different releases: {mixed}.")
    notes += external_notes(str(row[1]) for row in rows)
    return Table("Scores", (*header, "Seeds"), tuple(rows), 2, tuple(notes), lambda: entries(shown))


def _mixed_versions(scores: Iterable[CellScore]) -> str:
    """The packages of different releases by which some scores came about, and these.

    Runs of different releases of lampbench never share a column. Its commit is left out, since it
    changes with every word of documentation.
    """
    found: dict[str, set[str]] = {}
    for score in scores:
        for run in score.chosen:
            for name, version in run.manifest.versions_of(score.metric).items():
                if name not in ("lampbench", "commit"):
                    found.setdefault(name, set()).add(str(version))
    mixed = {name: sorted(several) for name, several in found.items() if len(several) > 1}
    return "; ".join(f"{name} {', '.join(mixed[name])}" for name in sorted(mixed))
