"""Two methods side by side over all queries, in order of difference: the data of the second file.

It holds every answer of every method, so that it may be large.
"""

from collections.abc import Iterable
from typing import Any

from lampbench.record.private import shown_text
from lampbench.report.metric_format import MAIN_METRIC
from lampbench.report.page.browser import FIELD_LENGTH, beginning
from lampbench.report.page.cells import SetupGroup
from lampbench.report.page.packing import PackedData, packed_data
from lampbench.report.setups import Column


def compared_tasks(shown: Iterable[SetupGroup]) -> list[PackedData]:
    """The data of every task that at least two methods answered, by title.

    Raises:
        LampbenchError: predictions or scores cannot be read.
    """
    return [
        packed_data(
            "comparisons",
            f"{group.column_title(column)}, {group.title}",
            compared_queries(group, column),
        )
        for group in shown
        for column in group.columns()
        if sum(MAIN_METRIC in cell.scores for cell in group.of(column)) > 1
    ]


def compared_queries(group: SetupGroup, column: Column) -> dict[str, Any]:
    """Every query of a task's data with the answers and scores of all methods.

    Answers are those of the lowest seed, scores are means over seeds; both are None where a method
    has none.
    """
    cells = [cell for cell in group.of(column) if MAIN_METRIC in cell.scores]
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
            "scores": [cell.scores[MAIN_METRIC].get(place) for cell in cells],
        })  # fmt: skip
    return {"methods": [cell.title for cell in cells], "queries": queries}
