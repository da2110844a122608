"""Tables for programs: JSON and CSV, one record per cell, with all that a number depends on."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from lampbench.paper.published import Published
from lampbench.report.cell_scores import CellScore
from lampbench.report.table import Section


def entry(
    method: str, task: str, metric: str, score: CellScore | None, published: Published | None
) -> dict[str, Any]:
    """One cell. Where nothing has run, model, mean and interval are null and there are no seeds.

    `low` and `high` are null where there is only one query. `published` is the figure that the
    paper prints for `published_model`, null where it prints none.
    """
    interval = score.interval if score else None
    return {
        "method": method,
        "task": task,
        "model": score.setup.model if score else None,
        "metric": metric,
        "mean": score.mean if score else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "users_mean": score.users_mean if score else None,
        "users": score.users if score else 0,
        "queries": score.queries if score else 0,
        "seeds": list(score.seeds) if score else [],
        "published": published.value if published else None,
        "published_model": published.model if published else None,
        "published_table": published.table if published else None,
        "synthetic": score.synthetic if score else None,
        "data_findings": score.findings if score else [],
        "model_notes": score.model_notes if score else [],
        "preset": score.setup.preset if score else None,
        "data": score.setup.source if score else None,
        "data_fingerprint": score.column.fingerprint if score else None,
        "query_fingerprint": score.column.query_fingerprint if score else None,
        "model_fingerprint": score.setup.model_fingerprint if score else None,
        "dtype": score.setup.dtype if score else None,
        "chat_template": score.setup.chat_template if score else None,
        "engine": score.setup.engine if score else None,
        "model_arguments": score.setup.model_arguments if score else None,
        "runs": list(score.runs) if score else [],
    }


def entries(scores: Iterable[CellScore]) -> list[dict[str, Any]]:
    """An entry for each of some scores."""
    return [entry(score.method, score.column.task, score.metric, score, None) for score in scores]


def as_json(sections: Iterable[Section]) -> str:
    """All cells as a list."""
    return json.dumps(cells(sections), indent=1, allow_nan=False)


def as_csv(sections: Iterable[Section]) -> str:
    """One line per cell: null is empty, booleans are true or false, lists are joined by spaces.

    Findings, which are sentences, are joined by semicolons. A text that a spreadsheet would take
    for a formula gets an apostrophe in front, which spreadsheets hide; numbers stay as they are.
    """
    listed = cells(sections)
    names = list(dict.fromkeys(name for found in listed for name in found))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _field(value) for name, value in found.items()} for found in listed)
    return text.getvalue().rstrip("\n")


def cells(sections: Iterable[Section]) -> list[Mapping[str, Any]]:
    """The entries of all cells, in the order of the tables."""
    return [found for section in sections for table in section.tables for found in table.entries()]


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        sentences = any(" " in str(one) for one in value)
        return _harmless(("; " if sentences else " ").join(map(str, value)))
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """Text that no spreadsheet runs as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
