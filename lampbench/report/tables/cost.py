"""What each method costs: tokens and seconds, before the first answer and for the answers."""

from collections.abc import Sequence
from typing import Any

from lampbench.record.manifest import PREDICT, StageCost
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.metric_format import MAIN_METRIC
from lampbench.report.notes import NO_VALUE, data_notes, external_notes
from lampbench.report.setups import Column, Setup
from lampbench.report.table import Cell, Number, Section, Table
from lampbench.scoring.aggregate import mean

_NOTE = (
    "Means over seeds, for all test users together. Trained on: tokens that went forward and "
    "backward through the model, in every epoch. Read: prompts and scored texts. Made before: "
    "training, profiles, samples, also those that an earlier run made and this one shares with "
    "other methods. Seconds are of the machine and of what else it was doing: compare tokens."
)
_COUNTS = {
    "trained_tokens": "Tokens trained on",
    "prompt_tokens": "Tokens read",
    "new_tokens": "Tokens written",
}


def cost_sections(board: Board) -> list[Section]:
    """A section for each setup, with a table for each column."""
    return board.sections(
        lambda setup: (cost_table(board, setup, column) for column in board.columns(setup))
    )


def cost_table(board: Board, setup: Setup, column: Column) -> Table:
    """What every method of a column cost."""
    rows: list[tuple[Cell, ...]] = []
    entries, titles = [], []
    for method in board.methods():
        score = board.cell(setup, column, method, MAIN_METRIC)
        if score is None:
            continue
        title = board.method_title(method)
        found = _costs(score)
        numbers = [NO_VALUE if value is None else Number(value, 0) for value in found.values()]
        rows.append((title, *numbers))
        titles.append(title)
        about = {"data_findings": score.findings, "model_notes": score.model_notes}
        named = {"task": column.task, "method": method, "model": setup.model}
        entries.append({**named, **found, **about})
    header = ("Method", *_COUNTS.values(), "Seconds, made before", "Seconds, answers")
    notes = (_NOTE, *data_notes(board, [column], [setup]), *external_notes(titles))
    return Table(board.column_title(column), header, tuple(rows), 1, notes, lambda: entries)


def _costs(score: CellScore) -> dict[str, Any]:
    """Tokens and seconds by name; None where a manifest has no stages."""
    of_runs = [run.manifest.stages for run in score.chosen]
    known = all(of_runs)
    found: dict[str, Any] = {
        name: mean(float(sum(getattr(stage, name) for stage in stages)) for stages in of_runs)
        if known
        else None
        for name in _COUNTS
    }
    for name, answering in (("seconds_before", False), ("seconds_answers", True)):
        found[name] = mean(_seconds(stages, answering) for stages in of_runs) if known else None
    return found


def _seconds(stages: Sequence[StageCost], answering: bool) -> float:
    return sum(stage.seconds for stage in stages if (stage.stage == PREDICT) == answering)
