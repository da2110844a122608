"""A query and its answers as programs read them (`--format json`; see docs/json-output.md)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lampbench.report.example_answers import AnsweredQuery


def example_record(found: "AnsweredQuery", methods: Sequence[str]) -> dict[str, Any]:
    """An example; `methods` are those that gave its answers, in their order."""
    return {
        "user": found.user,
        "query": found.query,
        "history": list(found.history),
        "fields": dict(found.fields),
        "reference": found.reference,
        "answers": [
            {
                "method": method,
                "title": answer.title,
                "text": "".join(answer.pieces),
                "shared_words": list(answer.pieces[1::2]),
                "rougeL": answer.score,
            }
            for method, answer in zip(methods, found.answers, strict=True)
        ],
    }
