"""Recording a run: its folder appears complete, or not at all if the process is killed."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from dataclasses import replace as changed
from hashlib import sha256
from pathlib import Path

from lampbench.plugin.metric import Metric
from lampbench.record.columns import compress, rows_to_text, to_text
from lampbench.record.dataset_files import recorded_references, shared_path
from lampbench.record.leftovers import REPLACED, TEMPORARY, new_leftover, put_right
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.paths import run_path
from lampbench.record.portable_paths import portable_value
from lampbench.record.run_lock import run_lock
from lampbench.record.runs import Run
from lampbench.record.typed_json import from_json, loads
from lampbench.scoring.aggregate import aggregate, counts
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.atomic import sync_file, sync_folder
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical

_OPTIONAL = ("quoted", "tokens", "rewards", "prediction_sha256", "prediction_length")
"""Columns of predictions that are left out where no row has any."""


class RecordedAlready(LampbenchError):
    """A run is there, and was not to be replaced."""


def write_run(
    root: Path,
    manifest: Manifest,
    predictions: Sequence[PredictionRow],
    scores: ScoreTable,
    *,
    replace: bool = False,
    metrics: Sequence[Metric] = (),
) -> Run:
    """Record a run, under its lock.

    `files`, `counts` and `scores` (the means) of the manifest are filled in; `metrics` has what
    makes the number of those that are no means and are not found by name. References are not
    repeated: the dataset's queries are recorded already (`record_dataset`). Leftovers of killed
    writers of the same run are removed.

    Raises:
        RecordedAlready: the run is there and `replace` is false.
        LampbenchError: the disk refuses.
        ValueError: scores and predictions are of different queries, a reference is not that of
            the dataset's queries, or a text is missing, or in a private run is not.
    """
    if not _same_queries(predictions, scores):
        raise ValueError("predictions and scores must hold the same queries, once, in one order")
    if any((row.prediction is None) != manifest.private for row in predictions):
        raise ValueError("predictions must have texts, or none where the manifest says private")
    _check_references(root, manifest, predictions)
    final = run_path(root, manifest.task, manifest.model, manifest.method, manifest.key)
    content = {
        PREDICTIONS: compress(_predictions_text(predictions)),
        SCORES: compress(
            to_text({"user": scores.users, "query": scores.queries, **scores.columns})
        ),
    }
    complete = changed(
        _without_homes(manifest),
        files={name: sha256(data).hexdigest() for name, data in content.items()},
        counts=counts(scores),
        scores=aggregate(scores, manifest.scoring.pooled if manifest.scoring else (), metrics),
    )
    content[MANIFEST] = complete.to_json()
    complete = Manifest.from_json(content[MANIFEST])  # what cannot be read must not be recorded
    with run_lock(final):
        if not replace and (final / MANIFEST).exists():
            raise RecordedAlready(f"{final}: this run is recorded already")
        try:
            with writing(final, sum(map(len, content.values()))):
                _publish(final, content)
        except OSError as error:
            what = error.strerror or error
            raise LampbenchError(f"{final}: cannot be written ({what})") from error
        finally:
            with contextlib.suppress(OSError):  # then the next reader or writer does it
                put_right(final)
    return Run(final, complete)


def _without_homes(manifest: Manifest) -> Manifest:
    """The manifest with portable paths in all that is not its identity."""
    names = ("command", "overrides", "hyperparameters", "failed_users", "dataset",
             "model_details", "scoring", "external")  # fmt: skip
    content = asdict(manifest)
    content |= {name: portable_value(content[name]) for name in names}
    return from_json(Manifest, loads(canonical(content)))


def _publish(final: Path, content: Mapping[str, bytes]) -> None:
    """Write a run's files, and exchange the folder that is there for theirs."""
    new = new_leftover(TEMPORARY, final)
    new.mkdir(parents=True)
    for name, data in content.items():
        (new / name).write_bytes(data)
        sync_file(new / name)
    sync_folder(new)
    if final.exists():
        final.rename(new_leftover(REPLACED, final))
    new.rename(final)
    sync_folder(final.parent)


def _check_references(root: Path, manifest: Manifest, predictions: Sequence[PredictionRow]) -> None:
    file = manifest.dataset.queries_file
    known = recorded_references(shared_path(root, manifest.task, file), file.sha256)
    for row in predictions:
        place = (row.user, row.query)
        if place not in known or known[place] != row.reference:
            raise ValueError(
                f"query {row.query!r} of user {row.user!r} is not in {file.name}, or has another "
                "reference there"
            )


def _same_queries(predictions: Sequence[PredictionRow], scores: ScoreTable) -> bool:
    """Whether both hold the same queries, once, in one order."""
    if len(predictions) != len(scores):
        return False
    places = zip(scores.users, scores.queries, strict=True)
    if any((p.user, p.query) != place for p, place in zip(predictions, places, strict=True)):
        return False
    return len({(row.user, row.query) for row in predictions}) == len(predictions)


def _predictions_text(predictions: Sequence[PredictionRow]) -> bytes:
    names = [
        field.name
        for field in fields(PredictionRow)
        if field.name != "reference"
        and (
            field.name not in _OPTIONAL
            or any(getattr(row, field.name) not in (None, ()) for row in predictions)
        )
    ]
    return rows_to_text(names, ([getattr(row, name) for name in names] for row in predictions))
