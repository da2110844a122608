"""The page `leaderboard.md`: all tables of a folder of runs, the same bytes for the same runs."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lampbench.report.board import ABLATION_ROWS, Board
from lampbench.report.markdown import plain, render
from lampbench.report.published import paper
from lampbench.report.records import Other, Setup, records
from lampbench.report.tables import (
    ablation_tables,
    control_table,
    cross_tables,
    data_table,
    main_tables,
    other_table,
)
from lampbench.runs import Problem, Run, load_runs

HEAD = """\
<!-- Generated from recorded runs by `lampbench tables`. Do not edit: run it again. -->

# Leaderboard

Made by `lampbench tables` from recorded runs and from nothing else.

- Scores are means over queries of F1, per query, between 0 and 1 (`docs/metrics.md`). "By user"
  is the mean over users of each user's mean. A cell with several seeds is their mean.
- A cell holds runs with the method's default settings and with every user. All rows of a table
  share model, weights, precision, prompt template, preset and data. Other runs stand at the end.
- "paper" is the figure printed in
  {reference}.
  It belongs to the paper's models, on 100 users of the full LaMP and LongLaMP data. Where ours
  is another model or other data, compare the rows of a column, not ours with the paper's.
- "no run" marks a cell that nobody has run, "—" one for which the paper prints no figure.
"""


def leaderboard(results: Path) -> tuple[str, list[Problem]]:
    """The page for the runs under `results`, and the folders that had to be left out."""
    runs, problems = load_runs(results)
    return page(runs), problems


def page(runs: Iterable[Run]) -> str:
    """The page for some runs. No clock, locale or order of files has a part in it."""
    found, others = records(runs)
    return "\n".join(_sections(Board(found), others))


def _sections(board: Board, others: list[Other]) -> Iterator[str]:
    yield HEAD.format(reference=plain(paper().reference))
    setups: list[Setup | None] = [*board.setups()] or [None]
    yield "## Main table\n"
    for setup in setups:
        yield f"### {_title(board, setup)}\n"
        for table in main_tables(board, setup):
            yield render(table, 4)
        if setup:
            yield render(control_table(board, setup), 4)
            yield render(data_table(board, setup), 4)
    yield "## Ablation: contrastive decoding (CD) and DPO\n"
    ablated = {record.setup for record in board.records if record.method in ABLATION_ROWS}
    shown: list[Setup | None] = [*sorted(ablated)] or [None]
    for setup in shown:
        yield f"### {_title(board, setup)}\n"
        for table in ablation_tables(board, setup):
            yield render(table, 4)
    yield "## Across models\n"
    for table in cross_tables(board):
        yield render(table, 3)
    if others:
        yield render(other_table(board, others), 2)


def _title(board: Board, setup: Setup | None) -> str:
    if setup is None:
        return "No run recorded"
    model = board.setup_title(setup, [s for s in board.setups() if s.source == setup.source])
    return f"{model}, preset {plain(setup.preset)}, data {plain(setup.source)}"
