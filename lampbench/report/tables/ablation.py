"""The ablation: contrastive decoding and DPO, alone and together (Table 3)."""

from dataclasses import replace

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.method_table import method_table, task_slots
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.setups import Setup
from lampbench.report.table import Section, Table

ABLATION_TABLES = (3,)


def ablation_sections(board: Board) -> list[Section]:
    """A section for each setup that has run a method of the ablation that is in no other table."""
    return board.sections(
        lambda setup: (ablation_table(board, setup, metric) for metric in PAPER_METRICS)
    )


def ablation_table(board: Board, setup: Setup, metric: str) -> Table | None:
    """One metric of one setup, on the tasks on which an ablated method has run; None if none."""
    rows = {row.method: row for row in cast().ablation}
    ablated = [method for method in rows if method not in cast().main]
    slots = task_slots(board, setup, list(rows), metric, tables=ABLATION_TABLES, needed=ablated)
    if not slots:
        return None
    table = method_table(board, metric_title(metric), slots, list(rows), metric)
    shown = tuple(
        (line[0], _yes(row.contrastive), _yes(row.dpo), *line[1:])
        for row, line in zip(rows.values(), table.rows, strict=True)
    )
    header = (table.header[0], "CD", "DPO", *table.header[1:])
    return replace(table, header=header, rows=shown, labels=3)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
