"""The main table: the paper's methods by tasks, one table per metric and setup (Table 1)."""

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.method_table import method_table, task_slots
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.setups import Setup
from lampbench.report.table import Section, Table

MAIN_TABLES = (1, 2, 5, 6, 7)
"""The paper's tables of these methods, in the order in which they are searched for a figure."""


def main_sections(board: Board) -> list[Section]:
    """A section for each setup that one of the paper's methods has run in."""
    metrics = (*PAPER_METRICS, "meteor")
    return board.sections(lambda setup: (main_table(board, setup, name) for name in metrics))


def main_table(board: Board, setup: Setup, metric: str) -> Table | None:
    """One metric of one setup; None where no run of these methods has it."""
    slots = task_slots(board, setup, cast().main, metric, tables=MAIN_TABLES)
    found = [slot.ours(method) for slot in slots for method in cast().main]
    if not any(score and score.mean is not None for score in found):
        return None
    return method_table(board, metric_title(metric), slots, cast().main, metric)
