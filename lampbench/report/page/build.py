"""The report's two files: the page, and what it leaves to the second."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lampbench.record.recorded_run import Run, UnreadableRun
from lampbench.record.runs import with_runs
from lampbench.report.board import Board
from lampbench.report.contents import arrange
from lampbench.report.metric_format import MAIN_METRIC, metric_title
from lampbench.report.page.browser import browser_queries
from lampbench.report.page.cells import groups
from lampbench.report.page.comparisons import compared_tasks
from lampbench.report.page.packing import packed_data, packed_manifests
from lampbench.report.page.setup_section import (
    ANSWERED,
    SetupSection,
    excluded_runs,
    identifier_of,
    setup_section,
)
from lampbench.report.page.template import environment, inline, policy_of
from lampbench.report.page.two_files import (
    PAGE_BYTES,
    FileContents,
    RunList,
    SetupParts,
    divided,
)
from lampbench.report.takeaways import Takeaway, main_setup, takeaways


def report_pages(
    results: Path, count: int, names: tuple[str, str]
) -> tuple[tuple[str, str], list[UnreadableRun]]:
    """The page for the runs under `results` and the second file, which link to each other by their
    `names`; and the folders that were left out.

    `count` is the number of queries per task in the example browser. The same runs give the same
    text: it depends on no clock, locale or order of files.

    Raises:
        LampbenchError: a run holds what no run writes.
    """
    return with_runs(results, lambda runs: report_files(runs, count, names))


def report_files(
    runs: Iterable[Run],
    count: int,
    names: tuple[str, str] = ("report.html", "report-comparisons.html"),
    largest: int = PAGE_BYTES,
) -> tuple[str, str]:
    """The two files for some runs; the page has at most `largest` bytes; see `report_pages`."""
    recorded = arrange(runs, paths=None)
    shown = groups(recorded.board)
    compared = compared_tasks(shown)
    sections = [setup_section(group, recorded) for group in shown]
    setups = [_parts(each, count, len(shown) > 1, names[1] if compared else "")
              for each in sections]  # fmt: skip
    excluded = [(o.run, o.reason) for o in excluded_runs(recorded, [g.setup for g in shown])]
    others = _run_list("others", "others", excluded, excluded) if excluded else None
    setup = main_setup(recorded.board)
    main = identifier_of(setup) if setup else None
    facts = {
        "answer": _answer(recorded.board),
        "runs": sum(len(each.runs) for each in sections) + len(excluded),
        "excluded": bool(excluded),
        "count": count,
    }

    def page(contents: FileContents) -> str:
        return _file("page.html", ["page.js"], contents, other=names[1], **facts)

    bare, _ = divided(setups, main, others, room=0)
    room = largest - len(encoded(page(bare)))
    first, second = divided(setups, main, others, room)
    text = page(first)
    # A part's place in the page has some bytes of its own.
    while room > 0 and (excess := len(encoded(text)) - largest) > 0:
        room -= excess
        first, second = divided(setups, main, others, room)
        text = page(first)
    second.data += compared
    scripts = ["page.js", "comparisons.js"]
    return text, _file(
        "comparisons.html", scripts, second, other=names[0], count=count,
        tasks=[one.name for one in compared], metric=metric_title(MAIN_METRIC),
    )  # fmt: skip


def _file(template: str, scripts: list[str], contents: FileContents, **facts: Any) -> str:
    style = inline("page.css")
    script = inline("shared.js")
    for name in scripts:
        script += inline(name)
    return (
        environment()
        .get_template(template)
        .render(file=contents, style=style, script=script, policy=policy_of(style, script), **facts)
    )


def _parts(section: SetupSection, count: int, linked: bool, comparisons: str) -> SetupParts:
    """A setup as parts of a file; `comparisons` is the name of the file that has them."""
    group = section.group
    examples = packed_data("examples", group.title, browser_queries(group, count))
    return SetupParts(
        identifier=section.identifier,
        title=group.title,
        model=group.setup.model,
        body=_macro("body")(section, linked, comparisons),
        examples=examples,
        runs=_run_list("runs", section.identifier, section, section.runs),
    )


def _run_list(macro: str, name: str, given: Any, runs: list[tuple[Run, str]]) -> RunList:
    """A list of runs as a macro of the template shows it, and their manifests."""
    return RunList(_macro(macro)(given), packed_manifests(name, (run for run, _ in runs)))


def _macro(name: str) -> Any:
    """A part of a setup, as its template makes it."""
    return getattr(environment().get_template("setup.html").module, name)


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


def encoded(text: str) -> bytes:
    """The page's bytes. Half a surrogate pair, which a title may hold, cannot be written."""
    return text.encode("utf-8", "replace")
