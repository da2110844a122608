"""Methods outside the paper's main table, such as plugins and external runs, beside those in it."""

from collections.abc import Sequence

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.method_table import method_table, task_slots
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.table import Section
from lampbench.report.tables.main import MAIN_TABLES


def further_method_sections(board: Board) -> list[Section]:
    """A section for each setup that has run a method outside the paper's cast."""
    further = [method for method in board.methods() if method not in cast().methods()]
    return beside_main(board, further, further_tasks=True)


def control_method_sections(board: Board) -> list[Section]:
    """A section for each setup that has run one of the controls."""
    return beside_main(board, [control.method for control in cast().controls])


def beyond_paper_sections(board: Board) -> list[Section]:
    """A section for each setup that has run a baseline or control that the paper does not have."""
    return beside_main(board, cast().beyond)


def beside_main(
    board: Board, added: Sequence[str], *, further_tasks: bool = False
) -> list[Section]:
    """The main table with the rows of `added`, on the tasks on which one of these has run."""
    sections = []
    for setup in board.setups():
        own = {score.method for score in board.scores if score.setup == setup}
        methods = [*cast().main, *(method for method in added if method in own)]
        tables = []
        for metric in PAPER_METRICS:
            slots = task_slots(
                board, setup, methods, metric, tables=MAIN_TABLES, needed=added,
                further_tasks=further_tasks,
            )  # fmt: skip
            if slots:
                tables.append(method_table(board, metric_title(metric), slots, methods, metric))
        sections.append(Section(board.section_title(setup), tuple(tables)))
    return [section for section in sections if section.tables]
