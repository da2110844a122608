"""Which tables there are, each under the heading of what its rows share."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lampbench.record.runs import Run
from lampbench.report.beyond_overlap import further_tables
from lampbench.report.board import ABLATION_ROWS, Board
from lampbench.report.cell_scores import ExcludedRun, Setup, records
from lampbench.report.gains import claimed_pairs, gain_tables
from lampbench.report.power import power_table
from lampbench.report.sensitivity import PATHS, Sweep, sensitivity_table, sweeps
from lampbench.report.table import Section
from lampbench.report.tables import (
    ablation_tables,
    control_table,
    cross_tables,
    data_table,
    main_tables,
    statistics_table,
)

TABLES = ("main", "gains", "ablation", "cross-model", "sensitivity", "data")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Runs arranged for tables: cells, sweeps over a setting, and runs in neither."""

    board: Board
    sweeps: Sequence[Sweep]
    others: Sequence[ExcludedRun]


def arrange(runs: Iterable[Run], paths: Collection[str] | None = PATHS) -> Recorded:
    """Every run in its place; `paths` are the settings that may be swept (None: any)."""
    found, others = records(runs)
    swept, left = sweeps(found, others, paths)
    points = [point for sweep in swept for point in sweep.points]
    titled = [record for point in points for record in point.records.values()]
    return Recorded(Board(found, titled), swept, left)


def sections(recorded: Recorded, name: str, baseline: str | None = None) -> list[Section]:
    """The tables called `name`, one of `TABLES`; `baseline` is whom all others gain over."""
    board = recorded.board
    if name == "main":
        return main(board)
    if name == "gains":
        return gains(board, baseline)
    if name == "ablation":
        return ablation(board)
    if name == "cross-model":
        return [Section("", tuple(cross_tables(board)))]
    if name == "sensitivity":
        return sensitivity(recorded)
    return [
        Section(board.section_title(s), (statistics_table(board, s), power_table(board, s)))
        for s in board.setups()
    ]


def main(board: Board, *, controls: bool = False) -> list[Section]:
    """Methods x tasks for each setup, with `controls` also what scores must be read with."""
    found = []
    setups: list[Setup | None] = [*board.setups()] or [None]
    for setup in setups:
        tables = [*main_tables(board, setup)]
        if setup and controls:
            tables.append(control_table(board, setup))
            tables += further_tables(board, setup)
            tables.append(data_table(board, setup))
            tables.append(statistics_table(board, setup))
            tables.append(power_table(board, setup))
        found.append(Section(_title(board, setup), tuple(tables)))
    return found


def gains(board: Board, baseline: str | None = None) -> list[Section]:
    """The gains that the paper states, or those of every method over a baseline."""
    pairs = claimed_pairs()
    if baseline:
        pairs = [(method, baseline) for method in board.methods() if method != baseline]
    found = [
        Section(board.section_title(s), tuple(gain_tables(board, s, pairs))) for s in board.setups()
    ]
    return [section for section in found if section.tables]


def ablation(board: Board) -> list[Section]:
    """Contrastive decoding x DPO for each setup that has run one of the four."""
    ablated = {record.setup for record in board.records if record.method in ABLATION_ROWS}
    setups: list[Setup | None] = [*sorted(ablated)] or [None]
    return [Section(_title(board, s), tuple(ablation_tables(board, s))) for s in setups]


def sensitivity(recorded: Recorded) -> list[Section]:
    """The sweeps of each setup."""
    board = recorded.board
    setups = sorted({sweep.setup for sweep in recorded.sweeps})
    return [
        Section(
            board.section_title(setup),
            tuple(sensitivity_table(board, s) for s in recorded.sweeps if s.setup == setup),
        )
        for setup in setups
    ]


def _title(board: Board, setup: Setup | None) -> str:
    return board.section_title(setup) if setup else "No run recorded"
