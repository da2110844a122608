"""The pages made from runs: `leaderboard.md`, and every table in full under `results/tables/`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lampbench.engine.models import BUNDLED
from lampbench.paper.published import paper
from lampbench.report.board import Board
from lampbench.report.contents import CONTENTS, Content, Recorded
from lampbench.report.markdown import as_markdown, escaped, link, markdown_table
from lampbench.report.metric_format import MAIN_METRIC, PAPER_METRICS, metric_title
from lampbench.report.table import Section
from lampbench.report.tables.ablation import ablation_table
from lampbench.report.tables.cross_model import cross_model_summary
from lampbench.report.tables.main import main_table
from lampbench.report.tables.other_tasks import other_task_sections
from lampbench.report.takeaways import main_setup, takeaways

GENERATED = "<!-- Generated from recorded runs by `lampbench leaderboard`. Do not edit. -->"
INDEX = "README.md"
MODEL_ROWS = 20
"""How many rows of the table across models fit on the page."""

TABLES_FOLDER = "tables"
"""The folder of all tables, inside the folder of the runs."""

LEGEND = """\
- A score is a mean over queries of F1, per query, between 0 and 1 (docs/metrics.md). "By user" is
  the mean over users of each user's mean. In a cell with several seeds, a query's score is its mean
  over the seeds.
- Brackets hold the 95% interval of a bootstrap that draws users, each with all their queries. It
  describes other users, not other seeds; what seeds add stands beside every gain. **Bold** is the
  best of a column, "≈" marks what is not significantly worse (docs/statistics.md). Marks and p come
  from the exchange test; a note says where it and an interval disagree.
- A cell holds runs with the method's default settings and with every user. All rows of a table
  share model, weights, precision, chat template, preset and data.
- "paper" is a figure that the paper prints. It is shown only beside runs of the same model.
- "no run": this has not been run. "—": the paper prints no figure. "n/a": could not be computed.
"""


def pages(recorded: Recorded, page: Path, tables: Path) -> dict[Path, str]:
    """The text of every page by its path: the leaderboard at `page`, the rest in folder `tables`.

    The same runs give the same texts: no clock, locale or order of files has a part in them.
    """
    to_tables = Path(os.path.relpath(tables, page.parent))
    to_page = Path(os.path.relpath(page, tables))
    made = {page: "\n".join(_leaderboard(recorded.board, to_tables))}
    contents = {name: content.make(recorded) for name, content in CONTENTS.items()}
    made[tables / INDEX] = "\n".join(_index(contents, to_page))
    for name, sections in contents.items():
        made[tables / f"{name}.md"] = "\n".join(_table_page(CONTENTS[name], sections))
    return made


def _leaderboard(board: Board, tables: Path) -> Iterator[str]:
    yield f"{GENERATED}\n\n# Leaderboard\n"
    setup = main_setup(board)
    index = link("All tables, and how to read them", (tables / INDEX).as_posix())
    if setup is None:
        yield f"No run of the paper's methods is recorded. {index}.\n"
        if others := other_task_sections(board):
            yield as_markdown(others, 2)
        return
    title = f"{board.section_title(setup)}. Methods: {paper().reference}."
    yield f"Model {escaped(title)} {index}.\n"
    for takeaway in takeaways(board, setup):
        yield f"- **{escaped(takeaway.question)}** {escaped(takeaway.answer)}"
    metrics = link("other metrics may differ", (tables / "gains.md").as_posix())
    yield (
        f"\nA point is 0.01 {metric_title(MAIN_METRIC)}, and significant is said of that metric: "
        f"{metrics}. Brackets hold 95% intervals for other users and, where it says so, for other "
        "seeds too.\n"
    )
    for metric in PAPER_METRICS:
        if table := main_table(board, setup, metric):
            title = f"{CONTENTS['main'].title}, {table.title}"
            yield markdown_table(replace(table, title=title), 2)
    if table := ablation_table(board, setup, MAIN_METRIC):
        title = f"{CONTENTS['ablation'].title}, {table.title}"
        yield markdown_table(replace(table, title=title), 2)
    for other in board.setups():
        if other != setup and other.model in BUNDLED:
            if table := main_table(board, other, MAIN_METRIC):
                title = f"Bundled model {other.model}, {table.title}"
                yield markdown_table(replace(table, title=title), 2)
            break
    if table := cross_model_summary(board, MAIN_METRIC, MODEL_ROWS):
        yield markdown_table(table, 2)
    links = [link(c.title, (tables / f"{name}.md").as_posix()) for name, c in CONTENTS.items()]
    yield f"In full: {', '.join(links)}.\n"


def _index(contents: Mapping[str, Sequence[Section]], page: Path) -> Iterator[str]:
    yield f"{GENERATED}\n\n# Tables\n"
    summary = link("leaderboard", page.as_posix())
    yield f"Every table that is made from the recorded runs. The {summary} has the main ones.\n"
    for name, content in CONTENTS.items():
        empty = "" if contents[name] else " (No run is recorded for it.)"
        yield f"- {link(content.title, f'{name}.md')}: {content.about}{empty}"
    yield "\n## How to read them\n"
    yield LEGEND


def _table_page(content: Content, sections: Sequence[Section]) -> Iterator[str]:
    yield f"{GENERATED}\n\n# {content.title}\n"
    yield f"{content.about} {link('All tables', INDEX)}.\n"
    yield as_markdown(sections, 2) if sections else "No run is recorded for this table.\n"
