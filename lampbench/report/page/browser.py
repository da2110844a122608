"""The data of the example browser: some queries per task, with every method's answer."""

from collections.abc import Mapping
from typing import Any

from lampbench.record.dataset_files import RecordedQuery
from lampbench.record.manifest import PREDICTIONS
from lampbench.record.private import PRIVATE, shown_text
from lampbench.record.recorded_run import Run
from lampbench.report.example_answers import query_hash
from lampbench.report.metric_format import goals, metric_title
from lampbench.report.page.cells import SetupGroup
from lampbench.report.setups import Column
from lampbench.report.shared_words import pieces
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.util.errors import LampbenchError

FIELD_LENGTH = 600
"""Characters of each field of a query that the page holds."""

_Histories = Mapping[str, Mapping[str, str]]


def browser_queries(group: SetupGroup, count: int) -> list[dict[str, Any]]:
    """For each task at most `count` queries, each with the answers of all methods.

    A hash of the ids decides which queries, not their scores. Of several seeds the lowest is shown.

    Raises:
        LampbenchError: predictions cannot be read, or quote records that the history lacks.
    """
    return [_task(group, column, count) for column in group.columns()]


def _task(group: SetupGroup, column: Column, count: int) -> dict[str, Any]:
    cells = group.of(column)
    first = cells[0].runs[0]
    asked, histories = first.queries, first.histories
    answers = [{(row.user, row.query): row for row in cell.runs[0].predictions} for cell in cells]
    # of the seed that is shown: a cell's own scores are means over seeds
    scores = [{(s["user"], s["query"]): s for s in cell.runs[0].scores} for cell in cells]
    queries = sorted({query for each in answers for query in each}, key=query_hash)
    shown = []
    for user, query in sorted(queries[:count]):
        rows = [each.get((user, query)) for each in answers]
        shown.append(
            {
                "user": user,
                "query": query,
                "fields": _fields(asked[user, query]),
                "reference": _reference(asked[user, query]),
                "answers": [
                    _answer(cell.title, cell.runs[0], row, own.get((user, query), {}), histories)
                    for cell, row, own in zip(cells, rows, scores, strict=True)
                    if row is not None
                ],
            }
        )
    return {"title": group.column_title(column), "total": len(queries), "queries": shown}


def _fields(asked: RecordedQuery) -> list[list[str]]:
    """Names and beginnings of a query's fields."""
    if asked.sha256 is not None:
        return [["query", PRIVATE]]
    return [[name, beginning(text, FIELD_LENGTH)] for name, text in asked.fields.items()]


def _reference(asked: RecordedQuery) -> str | None:
    return asked.reference if asked.sha256 is None else PRIVATE


def _answer(
    title: str,
    run: Run,
    row: PredictionRow,
    own: Mapping[str, Any],
    histories: _Histories,
) -> dict[str, Any]:
    scores = [
        [metric_title(metric), f"{own[metric]:.3f}"]
        for metric in goals()
        if own.get(metric) is not None
    ]
    shown: dict[str, Any] = {
        "method": title,
        "seed": run.manifest.seed,
        "pieces": (
            pieces(row.prediction, row.reference)
            if row.reference and row.prediction is not None
            else [shown_text(row.prediction)]
        ),
        "scores": scores,
    }
    for name in ("prompt_tokens", "new_tokens", "prompt_tokens_dropped", "truncated"):
        if getattr(row, name) is not None:
            shown[name] = getattr(row, name)
    if row.rewards:
        shown |= {"tokens": row.tokens, "rewards": row.rewards}
    return shown | _quoted(run, row, histories)


def _quoted(run: Run, row: PredictionRow, histories: _Histories) -> dict[str, Any]:
    """The beginnings of the past texts that the prompt quotes."""
    history = histories.get(row.user, {})
    if unknown := [record for record in row.quoted if record not in history]:
        raise LampbenchError(
            f"{run.path / PREDICTIONS}, query {row.query!r} of user {row.user!r}: it quotes "
            f"{unknown[0]!r}, which the user's history lacks; run it again with --force"
        )
    return {"history": [history[record] for record in row.quoted]}


def beginning(text: str, most: int) -> str:
    """At most so many characters of a text, with a sign where it goes on."""
    return text if len(text) <= most else text[:most] + "…"
