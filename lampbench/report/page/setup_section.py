"""All that the page shows of one setup, from the recorded runs."""

from collections.abc import Collection
from dataclasses import asdict, dataclass

from lampbench.record.recorded_run import Run
from lampbench.report.contents import Recorded
from lampbench.report.fill_cells import ExcludedRun, changes, in_order
from lampbench.report.histories import HistorySeries
from lampbench.report.page.cells import SetupGroup
from lampbench.report.page.histories import records_per_user
from lampbench.report.page.penalties import penalties
from lampbench.report.page.sections import (
    Figure,
    Grid,
    ablation,
    costs,
    differences,
    leaderboards,
    users,
)
from lampbench.report.page.sweeps import sensitivity
from lampbench.report.page.template import slug
from lampbench.report.setups import Setup
from lampbench.report.sweeps import Sweep
from lampbench.report.takeaways import Takeaway, takeaways
from lampbench.util.hashing import digest

ANSWERED = ("best", "against nothing", "personalization", "proposal", "data")
"""The five questions that the page begins with; `takeaways` has controls before the last."""


@dataclass(frozen=True, slots=True)
class SetupSection:
    """All that the page shows of one setup. `runs` are those behind it, each with the settings in
    which it differs from the defaults.
    """

    identifier: str
    group: SetupGroup
    leaderboards: list[Grid]
    controls: list[Takeaway]
    differences: list[Figure]
    ablation: tuple[list[Grid], list[Figure]]
    sensitivity: list[Figure]
    penalties: list[Figure]
    records: list[Figure]
    costs: tuple[list[Figure], Grid]
    users: list[Figure]
    runs: list[tuple[Run, str]]


def setup_section(group: SetupGroup, recorded: Recorded) -> SetupSection:
    """A setup's tables, plots and runs."""
    runs = [run for cell in group.cells for run in cell.runs]
    runs += [run for one in _apart(recorded) if one.setup == group.setup for run in one.runs()]
    by_path = {run.path: run for run in runs}
    return SetupSection(
        identifier=identifier_of(group.setup),
        group=group,
        leaderboards=list(leaderboards(group)),
        controls=_controls(group),
        differences=list(differences(group)),
        ablation=ablation(group),
        sensitivity=sensitivity(group, recorded.sweeps),
        penalties=penalties(group, recorded.sweeps),
        records=records_per_user(group, recorded.histories),
        costs=costs(group),
        users=list(users(group)),
        runs=[(run, _differs(run)) for run in by_path.values()],
    )


def excluded_runs(recorded: Recorded, shown: Collection[Setup]) -> list[ExcludedRun]:
    """The runs that no section shows: also those of a sweep, or on cut histories, in a setup
    without a section.
    """
    apart = [
        ExcludedRun(run, _differs(run))
        for one in _apart(recorded)
        if one.setup not in shown
        for run in one.runs()
    ]
    return in_order([*recorded.others, *apart])


def _controls(group: SetupGroup) -> list[Takeaway]:
    """What the controls say; nothing where none of the paper's tasks has run."""
    if not group.board.paper_columns(group.setup):
        return []
    found = takeaways(group.board, group.setup)[len(ANSWERED) - 1 : -1]
    return [said for said in found if "has no run" not in said.answer]


def identifier_of(setup: Setup) -> str:
    """A name of a setup that stays the same when others are recorded, for permalinks."""
    return f"{slug(setup.model)}-{digest(asdict(setup), 6)}"


def _apart(recorded: Recorded) -> list[Sweep | HistorySeries]:
    """What holds runs that fill no cell."""
    return [*recorded.sweeps, *recorded.histories]


def _differs(run: Run) -> str:
    """In what a run differs from the defaults."""
    most = run.manifest.dataset.max_history
    cut = f"max-history {most}" if most else ""
    return ", ".join(filter(None, [cut, changes(run.manifest)]))
