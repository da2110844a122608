"""Runs that the user names, side by side whatever their settings; and why others are not shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lampbench.record.recorded_run import Run
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore, score_cell
from lampbench.report.contents import Recorded
from lampbench.report.fill_cells import changes
from lampbench.report.find_runs import find_run
from lampbench.report.setups import Column, Setup, column_of, setup_of, with_named_data
from lampbench.report.table import shortened
from lampbench.util.errors import LampbenchError

_NAMED = 3  # runs that a message names
_KEY = 8  # digits of a key that are shown
_REASON = 80  # characters of a reason that are shown


@dataclass(frozen=True, slots=True)
class ShownTogether:
    """What one table shows: methods, or given runs under names of their own."""

    setup: Setup
    column: Column
    methods: tuple[str, ...]


def given_runs(results: Path, names: Sequence[str]) -> tuple[Board, list[ShownTogether]]:
    """A board of the runs with these keys or folders, and which of them are shown together.

    Each run is a row of its own, called by its method and key. Together are runs of one model and
    preset that answered the same data.

    Raises:
        LampbenchError: there is no such run, or it is damaged.
    """
    groups: dict[tuple[Setup, Column], list[str]] = {}
    scores: list[CellScore] = []
    runs = {run.path: run for run in (find_run(results, name) for name in names)}
    for run in with_named_data(runs.values()):
        place = setup_of(run), column_of(run)
        named = list(_named(run, score_cell(*place, [run])))
        groups.setdefault(place, []).append(named[0].method)
        scores += named
    shown = [ShownTogether(*place, tuple(methods)) for place, methods in groups.items()]
    return Board(scores), shown


def recorded_but_not_shown(
    recorded: Recorded, task: str, methods: Sequence[str], shown: Sequence[tuple[Setup, Column]]
) -> str:
    """Which runs of some methods on a task are recorded, and why a table of `shown` lacks them.

    A clause to end an error with; empty where there is none.
    """
    reasons: dict[str, str] = {}
    for run, reason in _elsewhere(recorded, shown):
        if run.manifest.task == task and run.manifest.method in methods:
            reasons.setdefault(run.manifest.key, f"{run.manifest.method}: {reason}")
    if not reasons:
        return ""
    listed = [f"{key[:_KEY]} ({shortened(why, _REASON)})" for key, why in reasons.items()]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return f"; recorded but not shown: {', '.join(listed[:_NAMED])}{more}; show runs with --run KEY"


def _elsewhere(
    recorded: Recorded, shown: Sequence[tuple[Setup, Column]]
) -> Iterator[tuple[Run, str]]:
    for other in recorded.others:
        yield other.run, other.reason
    for sweep in recorded.sweeps:
        for run in sweep.runs():
            if changed := changes(run.manifest):
                yield run, changed
    for score in recorded.board.scores:
        if (score.setup, score.column) not in shown:
            for run in score.chosen:
                manifest = run.manifest
                yield (
                    run,
                    f"on other data or users: model {manifest.model}, preset {manifest.preset}, "
                    f"data {manifest.dataset.source}, {manifest.counts.users} users",
                )


def _named(run: Run, scores: Sequence[CellScore]) -> Iterator[CellScore]:
    """The scores of one run under a name of its own."""
    key, changed = run.manifest.key[:_KEY], changes(run.manifest)
    if not scores:
        raise LampbenchError(f"{run.path}: has no scores; `lampbench score` computes them")
    for score in scores:
        title = f"{score.method_title} {key}" + (f" ({changed})" if changed else "")
        yield replace(score, method=f"{score.method} {key}", method_title=title)
