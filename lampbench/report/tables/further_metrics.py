"""What word overlap does not see: diversity, style, copying, and every metric of a plugin."""

from collections.abc import Sequence

from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.machine_readable import entries
from lampbench.report.metric_format import metric_title
from lampbench.report.notes import NO_VALUE, data_notes, external_notes
from lampbench.report.numbers import mean_number
from lampbench.report.setups import Setup
from lampbench.report.table import Cell, Section, Table
from lampbench.scoring.catalog import CONTROLS, METRICS


def further_metric_sections(board: Board) -> list[Section]:
    """A section for each setup that has a run with one of these metrics."""
    return board.sections(lambda setup: [further_metric_table(board, setup)])


def further_metric_table(board: Board, setup: Setup) -> Table | None:
    """Every metric that is not in the table of scores, one row per task and method.

    None where no run has any. Built-in metrics come first; a plugin's has a column where a run of
    the setup has a value of it.
    """
    own = {s.metric for s in board.scores if s.setup == setup and s.mean is not None}
    plugins = own.difference(METRICS)
    names = [*(name for name in METRICS if name not in CONTROLS), *sorted(plugins)]
    rows: list[tuple[Cell, ...]] = []
    shown: list[CellScore] = []
    for column in board.columns(setup):
        for method in board.methods():
            cells = [board.cell(setup, column, method, name) for name in names]
            if not any(cell and cell.mean is not None for cell in cells):
                continue
            titles = board.column_title(column), board.method_title(method)
            rows.append((*titles, *map(mean_number, cells)))
            shown += [cell for cell in cells if cell]
    if not rows:
        return None
    notes = data_notes(board, board.columns(setup), [setup])
    if any(NO_VALUE in row for row in rows):
        notes.append(f"{NO_VALUE}: the run's manifest says why (`scoring`).")
    notes += _settings_notes(shown)
    notes += external_notes(str(row[1]) for row in rows)
    header = ("Task", "Method", *map(metric_title, names))
    return Table("Further metrics", header, tuple(rows), 2, tuple(notes), lambda: entries(shown))


def _settings_notes(cells: Sequence[CellScore]) -> list[str]:
    """Which metrics were computed with different settings, as by two judges."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for cell in cells:
        for run in cell.chosen if cell.mean is not None else []:
            described = run.manifest.scoring
            if described and (settings := described.signatures.get(cell.metric)):
                methods = found.setdefault(cell.metric, {}).setdefault(settings, {})
                methods[cell.method_title] = None
    notes = []
    for name, by_settings in found.items():
        if len(by_settings) > 1:
            listed = "; ".join(f"{one}: {', '.join(rows)}" for one, rows in by_settings.items())
            notes.append(
                f"{metric_title(name)}: computed with different settings, which cannot be "
                f"compared; score these runs again (`lampbench score`): {listed}."
            )
    return notes
