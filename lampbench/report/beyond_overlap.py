"""The table of what overlap does not see: diversity, likeness to the user, copying."""

from lampbench.report.board import Board
from lampbench.report.cell_scores import Setup
from lampbench.report.method_grid import NO_VALUE, SYNTHETIC_NOTE, external_notes, value
from lampbench.report.table import Cell, Table
from lampbench.scoring.catalog import CONTROLS, METRICS

FURTHER = tuple(name for name in METRICS if name not in CONTROLS)


def further_tables(board: Board, setup: Setup) -> list[Table]:
    """The metrics beside the controls, one row a cell; no table where no run has any of them."""
    rows: list[tuple[Cell, ...]] = []
    for column in board.columns(setup):
        for method in board.methods():
            cells = [board.cell(setup, column, method, name) for name in FURTHER]
            if not any(cell and cell.mean is not None for cell in cells):
                continue
            values = [
                value(cell.mean if cell else None, name)
                for name, cell in zip(FURTHER, cells, strict=True)
            ]
            rows.append((board.column_title(column), board.method_title(method), *values))
    if not rows:
        return []
    notes = [SYNTHETIC_NOTE] if board.synthetic(board.columns(setup)) else []
    if any(NO_VALUE in row for row in rows):
        notes.append(f"{NO_VALUE}: the manifest says why (`scoring`).")
    notes += external_notes(str(row[1]) for row in rows)
    header = ("Task", "Method", *(METRICS[name].title for name in FURTHER))
    return [Table("Beyond overlap", header, tuple(rows), labels=2, notes=tuple(notes))]
