"""Methods outside the paper's main table, such as plugins and external runs, beside those in it."""

from collections.abc import Iterator, Sequence
from functools import partial

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.method_table import NOTHING, Slot, method_table, task_slots
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_VALUE
from lampbench.report.setups import Setup
from lampbench.report.table import Section, Table
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
    return beside_main(board, cast().beyond, kinds=True)


def beside_main(
    board: Board, added: Sequence[str], *, further_tasks: bool = False, kinds: bool = False
) -> list[Section]:
    """The main table with the rows of `added`, on the tasks on which one of these has run.

    With `kinds` it says of each method what it is there for, and which seeds it has.
    """

    def tables(setup: Setup) -> Iterator[Table]:
        own = {score.method for score in board.scores if score.setup == setup}
        methods = [*cast().main, *(method for method in added if method in own)]
        for metric in PAPER_METRICS:
            slots = task_slots(
                board, setup, methods, metric, tables=MAIN_TABLES, needed=added,
                further_tasks=further_tasks,
            )  # fmt: skip
            if slots:
                facts = {"Kind": partial(_kind, board), "Seeds": partial(_seeds, slots)}
                told = facts if kinds else NOTHING
                yield method_table(board, metric_title(metric), slots, methods, metric, told)

    return board.sections(tables)


def _kind(board: Board, method: str) -> str:
    """Whose a method is, or what it is a control for."""
    if method in cast().main:
        return "paper"
    tested = cast().control_for.get(method)
    return f"control for {board.method_title(tested)}" if tested else "baseline"


def _seeds(slots: Sequence[Slot], method: str) -> str:
    """The seeds over which a method's scores are means, by column where the columns differ."""
    found = [slot.ours(method) for slot in slots]
    said = [
        ", ".join(map(str, score.seeds)) if score.draws else "none drawn"
        for score in found
        if score and score.mean is not None
    ]
    return " / ".join(said if len(set(said)) > 1 else said[:1]) or NO_VALUE
