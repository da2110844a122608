"""How scores change with one hyper-parameter, or with the base model of the contrast (Figure 3)."""

from collections.abc import Sequence
from typing import Any

from lampbench.paper.cast import cast
from lampbench.report.board import Board
from lampbench.report.cell_scores import CellScore
from lampbench.report.machine_readable import entry
from lampbench.report.marks import Standing, standings
from lampbench.report.metric_format import PAPER_METRICS, metric_title
from lampbench.report.notes import NO_VALUE, data_notes, processor_notes
from lampbench.report.numbers import score_number
from lampbench.report.sweeps import Sweep, SweepPoint
from lampbench.report.table import Section, Table

DEFAULT_MARK = "(default)"
DEFAULT_NOTE = (
    "One value differs from the method's defaults; everything else is equal. All values of a table "
    "are of the same seeds where they have any in common."
)
ALONE_NOTE = f"{DEFAULT_NOTE} No run with the default is recorded."


def sensitivity_sections(board: Board, sweeps: Sequence[Sweep]) -> list[Section]:
    """A section for each setup that has a sweep; sweeps over the penalty have other tables."""
    shown = [sweep for sweep in sweeps if sweep.path != cast().penalty.parameter]
    return [
        Section(
            board.section_title(setup),
            tuple(sensitivity_table(board, sweep) for sweep in shown if sweep.setup == setup),
        )
        for setup in sorted({sweep.setup for sweep in shown})
    ]


def sensitivity_table(board: Board, sweep: Sweep) -> Table:
    """Values by metrics; the best value of each metric is tested against the others."""
    columns = [
        (metric_title(metric), {p.shown: p.scores.get(metric) for p in sweep.points})
        for metric in PAPER_METRICS
    ]
    standing, marked = standings(board, columns)
    rows, entries = [], []
    for point in sweep.points:
        cells = []
        for metric, stands in zip(PAPER_METRICS, standing, strict=True):
            score, stand = point.scores.get(metric), stands[point.shown]
            cells.append(NO_VALUE if score is None else score_number(score, stand.mark))
            if score:
                entries.append(_entry(sweep, point, score, stand))
        seeds = str(max((len(score.seeds) for score in point.scores.values()), default=0))
        label = f"{point.shown} {DEFAULT_MARK}" if point.default else point.shown
        rows.append((label, *cells, seeds))
    notes = [DEFAULT_NOTE if any(point.default for point in sweep.points) else ALONE_NOTE]
    task = board.column_title(sweep.column)
    notes += [*marked, *processor_notes([(task, columns[0][1])])]
    notes += data_notes(board, [sweep.column], [sweep.setup])
    title = f"{task}, {board.method_title(sweep.method)}: {sweep.path}"
    header = (sweep.path, *map(metric_title, PAPER_METRICS), "Seeds")
    return Table(title, header, tuple(rows), notes=tuple(notes), entries=lambda: entries)


def _entry(sweep: Sweep, point: SweepPoint, score: CellScore, stand: Standing) -> dict[str, Any]:
    return {
        **entry(point.method, sweep.column.task, score.metric, score, None),
        "parameter": sweep.path,
        "value": point.value,
        "default": point.default,
        **stand.entry(),
    }
