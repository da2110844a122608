"""The second file of the report: two methods side by side over all queries, in order of difference.

It holds every answer of every method, so that it may be large; each task's data is compressed and
read when it is chosen.
"""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from lampbench.record.columns import compress
from lampbench.record.private import shown_text
from lampbench.record.runs import Run
from lampbench.report.contents import arrange
from lampbench.report.page.browser import FIELD_LENGTH, beginning
from lampbench.report.page.cells import SetupGroup, groups
from lampbench.report.page.template import environment, inline, policy_of
from lampbench.report.setups import Column
from lampbench.scoring.catalog import METRICS
from lampbench.util.hashing import canonical

_METRIC = "rougeL"
"""The metric by whose difference queries are ordered."""


def comparison_page(runs: Iterable[Run], main_page: str) -> str:
    """The file for some runs, with a link back to the page of that name.

    Raises:
        LampbenchError: predictions or scores cannot be read.
    """
    shown = groups(arrange(runs, paths=None).board)
    tasks = [
        (f"{group.column_title(column)}, {group.title}", packed(compared_queries(group, column)))
        for group in shown
        for column in group.columns()
        if sum(_METRIC in cell.scores for cell in group.of(column)) > 1
    ]
    style, script = inline("page.css"), inline("comparisons.js")
    return (
        environment()
        .get_template("comparisons.html")
        .render(
            tasks=tasks,
            metric=METRICS[_METRIC].title,
            main_page=main_page,
            style=style,
            script=script,
            policy=policy_of(style, script),
        )
    )


def compared_queries(group: SetupGroup, column: Column) -> dict[str, Any]:
    """Every query of a task's data with the answers and scores of all methods.

    Answers are those of the lowest seed, scores are means over seeds; both are None where a method
    has none.
    """
    cells = [cell for cell in group.of(column) if _METRIC in cell.scores]
    asked = cells[0].runs[0].queries
    answers = [{(row.user, row.query): row for row in cell.runs[0].predictions} for cell in cells]
    queries = []
    for place, query in sorted(asked.items()):
        rows = [each.get(place) for each in answers]
        fields = [[name, beginning(text, FIELD_LENGTH)] for name, text in query.fields.items()]
        queries.append({
            "user": query.user,
            "query": query.query,
            "fields": fields,
            "reference": shown_text(query.reference) if query.sha256 else query.reference,
            "answers": [None if row is None else shown_text(row.prediction) for row in rows],
            "scores": [cell.scores[_METRIC].get(place) for cell in cells],
        })  # fmt: skip
    return {"methods": [cell.title for cell in cells], "queries": queries}


def packed(value: Any) -> Markup:
    """A JSON value as gzip in base64: text that means nothing in HTML."""
    return Markup(b64encode(compress(canonical(value).encode("ascii"))).decode("ascii"))
