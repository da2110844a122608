"""Recorded runs made by hand, and what they are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lampbench.record.dataset_files import (
    RecordedHistory,
    RecordedQuery,
    write_histories,
    write_queries,
)
from lampbench.record.manifest import Manifest
from lampbench.record.recorded_run import Run
from lampbench.record.typed_json import from_json
from lampbench.record.write import write_run
from lampbench.scoring import PredictionRow, ScoreTable, score_predictions

NO_SPREAD = {"mean": 0.0, "sd": 0.0, "count": 0}
NO_COST = {
    "key": "k", "units": 1, "cached": 0, "seconds": 0.0, "prompt_tokens": 0, "new_tokens": 0,
    "trained_tokens": 0, "prompts_shortened": 0,
}  # fmt: skip
STATISTICS = {
    "unit": "word", "train": 3, "train_in": NO_SPREAD, "train_out": NO_SPREAD,
    "profile": NO_SPREAD, "profile_in": NO_SPREAD, "profile_out": NO_SPREAD,
}  # fmt: skip


def record_rows(
    root: Path,
    rows: Sequence[PredictionRow],
    scores: ScoreTable | None = None,
    *,
    fields: Mapping[str, str] | None = None,
    history: Mapping[str, str] | None = None,
    replace: bool = False,
    **changes: Any,
) -> Run:
    """Record a run; every query has the same `fields`, every user the same `history`."""
    description = manifest(root, rows, fields=fields, history=history, **changes)
    scores = scores or score_predictions(rows)
    return write_run(root, description, rows, scores, replace=replace)


def manifest(
    root: Path,
    rows: Sequence[PredictionRow],
    *,
    fields: Mapping[str, str] | None = None,
    history: Mapping[str, str] | None = None,
    **changes: Any,
) -> Manifest:
    """The manifest of a run with these answers, whose queries are written under `root`.

    `changes` are as JSON; what they leave out of the dataset, its statistics, the model, a stage
    or a hyper-parameter's source is filled in.
    """
    users = list(dict.fromkeys(row.user for row in rows))
    past = list((history or {}).items())
    data = changes.get("dataset", {})
    task = changes.setdefault("task", "news_headline")
    asked = [RecordedQuery(row.user, row.query, fields or {}, row.reference) for row in rows]
    (queries_file,) = write_queries(root, task, asked)
    (histories_file,) = write_histories(
        root, task, [RecordedHistory(u, name, text) for u in users for name, text in past]
    )
    content = {
        "key": "k1",
        "method": "base",
        "model": "bundled",
        "seed": 0,
        "preset": "small",
        "fidelity": "paper",
        "overrides": {},
        "created": "2026-01-01T00:00:00+00:00",
        **changes,
        "hyperparameters": {
            path: {"source": "paper 4.1", **setting}
            for path, setting in changes.get("hyperparameters", {}).items()
        },
        "model_details": {
            "location": "bundled",
            **changes.get("model_details", {"fingerprint": "w0", "dtype": "float32"}),
        },
        "stages": [NO_COST | stage for stage in changes.get("stages", [])],
        "dataset": {
            "source": "bundled",
            "options": None,
            "fingerprint": f"{task}-data",
            "query_fingerprint": f"{task}-queries",
            "synthetic": False,
            "train_users": 3,
            "test_users": len(users),
            "queries": len(rows),
            "notes": [],
            "queries_file": asdict(queries_file),
            "histories_file": asdict(histories_file),
            **data,
            "statistics": {**STATISTICS, **data.get("statistics", {})},
        },
    }
    return from_json(Manifest, content)


def amended(row: PredictionRow, **changes: Any) -> PredictionRow:
    """A row with some fields changed, as JSON."""
    return from_json(PredictionRow, as_json({**asdict(row), **changes}))


def as_json(value: Any) -> Any:
    """Lists in place of tuples."""
    if isinstance(value, dict):
        return {name: as_json(inside) for name, inside in value.items()}
    return [as_json(inside) for inside in value] if isinstance(value, list | tuple) else value


def of_users(users: int | None, fingerprint: str | None = None) -> dict[str, Any]:
    """What a manifest says of data of which this many users were asked for; None: all."""
    options: dict[str, Any] = {"data": "bundled", "users": users, "min_history": 1, "seed": 0,
               "split_by": None, "splits": []}  # fmt: skip
    return {"options": options, "fingerprint": fingerprint or str(users)}
