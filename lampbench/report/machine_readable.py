"""Tables for programs: JSON and CSV, one record a cell, with all that a number depends on."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

from lampbench.paper.published import Published
from lampbench.report.cell_scores import Record
from lampbench.report.table import Section


def entry(
    method: str, task: str, metric: str, record: Record | None, published: Published | None
) -> dict[str, Any]:
    """One cell. What nobody has run has null for model, mean and interval, and no seeds.

    `low` and `high` are null where a single query leaves the interval open. `published` is the
    paper's figure, null where it prints none, and belongs to `published_model`.
    """
    interval = record.interval if record else None
    return {
        "method": method,
        "task": task,
        "model": record.setup.model if record else None,
        "metric": metric,
        "mean": record.mean if record else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "users_mean": record.users_mean if record else None,
        "users": record.users if record else 0,
        "queries": record.queries if record else 0,
        "seeds": list(record.seeds) if record else [],
        "published": published.value if published else None,
        "published_model": published.model if published else None,
        "published_table": published.table if published else None,
        "synthetic": record.synthetic if record else None,
        "preset": record.setup.preset if record else None,
        "data": record.setup.source if record else None,
        "data_fingerprint": record.column.fingerprint if record else None,
        "query_fingerprint": record.column.query_fingerprint if record else None,
        "model_fingerprint": record.setup.model_fingerprint if record else None,
        "dtype": record.setup.dtype if record else None,
        "template": record.setup.template if record else None,
        "runs": list(record.runs) if record else [],
    }


def as_json(sections: Iterable[Section]) -> str:
    """A list of all cells."""
    return json.dumps(_entries(sections), indent=1, allow_nan=False)


def as_csv(sections: Iterable[Section]) -> str:
    """A line a cell; null is empty, truth is `true` or `false`, lists are joined by a blank."""
    entries = _entries(sections)
    names = list(dict.fromkeys(name for found in entries for name in found))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _field(value) for name, value in found.items()} for found in entries)
    return text.getvalue().rstrip("\n")


def _entries(sections: Iterable[Section]) -> list[Mapping[str, Any]]:
    return [found for section in sections for table in section.tables for found in table.entries]


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list) else value
