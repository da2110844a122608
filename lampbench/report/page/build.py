"""The page: the template filled with data and plots, and its content security policy."""

import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lampbench.record.runs import Run, UnreadableRun, with_runs
from lampbench.report.board import Board
from lampbench.report.contents import Recorded, arrange
from lampbench.report.fill_cells import ExcludedRun, changes, in_order
from lampbench.report.histories import HistorySeries
from lampbench.report.page.browser import browser_queries
from lampbench.report.page.cells import SetupGroup, groups
from lampbench.report.page.comparisons import comparison_page
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
from lampbench.report.page.template import environment as template_environment
from lampbench.report.page.template import inline, policy_of
from lampbench.report.setups import Setup
from lampbench.report.sweeps import Sweep
from lampbench.report.takeaways import Takeaway, main_setup, takeaways
from lampbench.util.hashing import canonical, digest

ANSWERED = ("best", "against nothing", "personalization", "proposal", "data")
"""The five questions that the page begins with; `takeaways` has controls before the last."""


@dataclass(frozen=True, slots=True)
class _Section:
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


def report_pages(
    results: Path, count: int, names: tuple[str, str]
) -> tuple[tuple[str, str], list[UnreadableRun]]:
    """The page for the runs under `results` and the file of comparisons, which link to each other
    by their `names`; and the folders that were left out.

    `count` is the number of queries per task in the example browser. The same runs give the same
    text: it depends on no clock, locale or order of files.

    Raises:
        LampbenchError: a run holds what no run writes.
    """
    page, comparisons = names
    return with_runs(
        results,
        lambda runs: (page_of(runs, count, comparisons), comparison_page(runs, page)),
    )


def page_of(runs: Iterable[Run], count: int, comparisons: str = "") -> str:
    """The page for some runs, with links to the file of `comparisons`; see `report_pages`."""
    recorded = arrange(runs, paths=None)
    shown = groups(recorded.board)
    sections = [_section(_identifier(group.setup), group, recorded) for group in shown]
    others = _others(recorded, [group.setup for group in shown])
    style, script = inline("page.css"), inline("page.js")
    listed = [run for section in sections for run, _ in section.runs] + [o.run for o in others]
    environment = template_environment()
    environment.filters["slug"] = slug
    return environment.get_template("page.html").render(
        sections=sections,
        answer=_answer(recorded.board),
        comparisons=comparisons,
        others=others,
        place=listed.index,
        runs=len(listed),
        count=count,
        examples=_json(
            [{"title": group.title, "tasks": browser_queries(group, count)} for group in shown]
        ),
        manifests=_json(_manifests(listed)),
        style=style,
        script=script,
        policy=policy_of(style, script),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the page begins with: the runs that are meant, and one sentence per question."""

    title: str
    sentences: list[Takeaway]


def _answer(board: Board) -> _Answer | None:
    """Five sentences on the setup that the leaderboard is about; None where there is none."""
    setup = main_setup(board)
    if setup is None:
        return None
    found = takeaways(board, setup)
    return _Answer(board.section_title(setup), [*found[: len(ANSWERED) - 1], found[-1]])


def _controls(group: SetupGroup) -> list[Takeaway]:
    """What the controls say; nothing where none of the paper's tasks has run."""
    if not group.board.paper_columns(group.setup):
        return []
    found = takeaways(group.board, group.setup)[len(ANSWERED) - 1 : -1]
    return [said for said in found if "has no run" not in said.answer]


def _identifier(setup: Setup) -> str:
    """A name of a setup that stays the same when others are recorded, for permalinks."""
    return f"{slug(setup.model)}-{digest(asdict(setup), 6)}"


def slug(text: str) -> str:
    """A text as a part of a permalink; texts that differ in letters and digits stay distinct."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def _others(recorded: Recorded, shown: Collection[Setup]) -> list[ExcludedRun]:
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


def _section(identifier: str, group: SetupGroup, recorded: Recorded) -> _Section:
    runs = [run for cell in group.cells for run in cell.runs]
    runs += [run for one in _apart(recorded) if one.setup == group.setup for run in one.runs()]
    by_path = {run.path: run for run in runs}
    return _Section(
        identifier=identifier,
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


def _apart(recorded: Recorded) -> list[Sweep | HistorySeries]:
    """What holds runs that fill no cell."""
    return [*recorded.sweeps, *recorded.histories]


def _differs(run: Run) -> str:
    """In what a run differs from the defaults."""
    most = run.manifest.dataset.max_history
    cut = f"max-history {most}" if most else ""
    return ", ".join(filter(None, [cut, changes(run.manifest)]))


def _manifests(runs: Iterable[Run]) -> dict[str, Any]:
    """Manifests as positions in one list of values, since most runs share most of their values."""
    values: list[Any] = []
    places: dict[str, int] = {}
    manifests = []
    for run in runs:
        numbered = {}
        for name, value in sorted(asdict(run.manifest).items()):
            text = canonical(value)
            if text not in places:
                places[text] = len(values)
                values.append(value)
            numbered[name] = places[text]
        manifests.append(numbered)
    return {"values": values, "manifests": manifests}


def _json(value: Any) -> Markup:
    """JSON for a script element: ASCII without any character that has a meaning in HTML."""
    text = canonical(value)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def encoded(text: str) -> bytes:
    """The page's bytes. Half a surrogate pair, which a title may hold, cannot be written."""
    return text.encode("utf-8", "replace")
