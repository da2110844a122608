"""The page `leaderboard.md`: all tables of a folder of runs, the same bytes for the same runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lampbench.paper.published import paper
from lampbench.record.runs import Run, UnreadableRun, load_runs
from lampbench.report.contents import (
    Recorded,
    ablation,
    arrange,
    gains,
    main,
    sections,
    sensitivity,
)
from lampbench.report.markdown import plain, render, render_sections
from lampbench.report.tables import other_table

HEAD = """\
<!-- Generated from recorded runs by `lampbench tables`. Do not edit: run it again. -->

# Leaderboard

Made by `lampbench tables` from recorded runs and from nothing else.

- Scores are means over queries of F1, per query, between 0 and 1 (`docs/metrics.md`). "By user"
  is the mean over users of each user's mean. In a cell with several seeds, a query's score is its
  mean over the seeds.
- Brackets hold the 95% interval of a bootstrap that draws users, then queries within each. It
  speaks of other users and queries, not of other seeds. **Bold** is the best of a column, "≈" marks
  what is not significantly worse than it (`docs/statistics.md`).
- A cell holds runs with the method's default settings and with every user. All rows of a table
  share model, weights, precision, prompt template, preset and data. Other runs stand at the end.
- "paper" is the figure printed in
  {reference}.
  It belongs to the paper's models, on 100 users of the full LaMP and LongLaMP data. Where ours
  is another model or other data, compare the rows of a column, not ours with the paper's.
- "no run" marks a cell that nobody has run, "—" one for which the paper prints no figure.
"""


def leaderboard(results: Path) -> tuple[str, list[UnreadableRun]]:
    """The page for the runs under `results`, and the folders that had to be left out."""
    runs, problems = load_runs(results)
    return page(runs), problems


def page(runs: Iterable[Run]) -> str:
    """The page for some runs. No clock, locale or order of files has a part in it."""
    return "\n".join(_page(arrange(runs)))


def _page(recorded: Recorded) -> Iterator[str]:
    board = recorded.board
    yield HEAD.format(reference=plain(paper().reference))
    yield "## Main table\n"
    yield from render_sections(main(board, controls=True), 3)
    if found := gains(board):
        yield "## Gains\n"
        yield from render_sections(found, 3)
    yield "## Ablation: contrastive decoding (CD) and DPO\n"
    yield from render_sections(ablation(board), 3)
    yield "## Across models\n"
    yield from render_sections(sections(recorded, "cross-model"), 3)
    if recorded.sweeps:
        yield "## Sensitivity\n"
        yield from render_sections(sensitivity(recorded), 3)
    if recorded.others:
        yield render(other_table(board, recorded.others), 2)
