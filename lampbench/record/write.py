"""Recording a run: its folder appears complete, or not at all if the process is killed."""

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import fields
from dataclasses import replace as changed
from hashlib import sha256
from pathlib import Path
from typing import Any

from lampbench.record.columns import compress, to_text
from lampbench.record.dataset_files import read_queries, shared_path
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.paths import REPLACED, TEMPORARY, run_path
from lampbench.record.runs import Run
from lampbench.scoring.aggregate import aggregate, counts
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError

_OPTIONAL = ("quoted", "tokens", "rewards")
"""Columns of predictions that are left out where no row has any."""


def write_run(
    root: Path,
    manifest: Manifest,
    predictions: Sequence[PredictionRow],
    scores: ScoreTable,
    *,
    replace: bool = False,
) -> Run:
    """Record a run.

    `files`, `counts` and `scores` (the means) of the manifest are filled in. References are not
    repeated: the dataset's queries are recorded already (`record_dataset`). Leftovers of killed
    writers of the same run are removed.

    Raises:
        LampbenchError: the run is there already and `replace` is false, or the disk refuses.
        ValueError: scores and predictions are of different queries, or a reference is not that of
            the dataset's queries.
    """
    places = [(row.user, row.query) for row in predictions]
    if places != scores.places or len(set(places)) < len(places):
        raise ValueError("predictions and scores must hold the same queries, once, in one order")
    _check_references(root, manifest, predictions)
    final = run_path(root, manifest.task, manifest.model, manifest.method, manifest.key)
    content = {
        PREDICTIONS: compress(to_text(_columns(predictions))),
        SCORES: compress(
            to_text({"user": scores.users, "query": scores.queries, **scores.columns})
        ),
    }
    complete = changed(
        manifest,
        files={name: sha256(data).hexdigest() for name, data in content.items()},
        counts=counts(scores),
        scores=aggregate(scores),
    )
    content[MANIFEST] = complete.to_json()
    complete = Manifest.from_json(content[MANIFEST])  # what cannot be read must not be recorded
    temporary = final.with_name(f"{TEMPORARY}{final.name}-{secrets.token_hex(4)}")
    try:
        with writing(final, sum(map(len, content.values()))):
            temporary.mkdir(parents=True)
            for name, data in content.items():
                _write(temporary / name, data)
            _sync_folder(temporary)
            _publish(temporary, final, replace)
    except OSError as error:
        raise LampbenchError(f"{final}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for prefix in (TEMPORARY, REPLACED):
        for leftover in final.parent.glob(f"{prefix}{final.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    return Run(final, complete)


def _check_references(root: Path, manifest: Manifest, predictions: Sequence[PredictionRow]) -> None:
    file = manifest.dataset.queries_file
    queries = read_queries(shared_path(root, manifest.task, file), file.sha256)
    for row in predictions:
        query = queries.get((row.user, row.query))
        if query is None or query.reference != row.reference:
            raise ValueError(
                f"query {row.query!r} of user {row.user!r} is not in {file.name}, or has another "
                "reference there"
            )


def _columns(predictions: Sequence[PredictionRow]) -> dict[str, list[Any]]:
    names = [field.name for field in fields(PredictionRow) if field.name != "reference"]
    columns = {name: [getattr(row, name) for row in predictions] for name in names}
    return {name: c for name, c in columns.items() if name not in _OPTIONAL or any(c)}


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _publish(temporary: Path, final: Path, replace: bool) -> None:
    aside = final.with_name(f"{REPLACED}{final.name}-{secrets.token_hex(4)}")
    replacing = final.exists()
    if replacing:
        if not replace:
            raise LampbenchError(f"{final}: this run is recorded already; --force replaces it")
        final.rename(aside)
    try:
        temporary.rename(final)
    except OSError:
        if replacing:
            aside.rename(final)
        raise
    _sync_folder(final.parent)
