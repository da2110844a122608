"""Recording a run: its folder appears complete, or not at all if the process is killed."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from dataclasses import replace as changed
from itertools import chain
from pathlib import Path
from typing import IO

from lampbench.plugin.metric import Metric
from lampbench.record.columns import TableText
from lampbench.record.dataset_files import recorded_references, shared_path
from lampbench.record.gzip_text import BLOCK, digest_of_blocks, write_compressed
from lampbench.record.leftovers import REPLACED, TEMPORARY, new_leftover, put_right
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.paths import run_path
from lampbench.record.portable_paths import portable_value
from lampbench.record.recorded_run import Run
from lampbench.record.run_files import same_queries
from lampbench.record.run_lock import run_lock
from lampbench.record.table_files import part_name, table_texts
from lampbench.record.typed_json import from_json, loads
from lampbench.scoring.aggregate import aggregate, counts
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.atomic import sync_file, sync_folder
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical
from lampbench.util.ordered_lookup import OrderedLookup

_OPTIONAL = ("quoted", "tokens", "rewards", "prediction_sha256", "prediction_length")
"""Columns of predictions that are left out where no row has any."""


_IN_MEMORY = 2**18  # bytes of a compressed table before it is put into a file


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
    if not same_queries(predictions, scores):
        raise ValueError("predictions and scores must hold the same queries, once, in one order")
    if any((row.prediction is None) != manifest.private for row in predictions):
        raise ValueError("predictions must have texts, or none where the manifest says private")
    _check_references(root, manifest, predictions)
    final = run_path(root, manifest.task, manifest.model, manifest.method, manifest.key)
    columns = {"user": scores.users, "query": scores.queries, **scores.columns}
    tables = {PREDICTIONS: _prediction_texts(predictions),
              SCORES: table_texts(list(columns), zip(*columns.values(), strict=True))}  # fmt: skip
    with contextlib.ExitStack() as files:
        content = {
            part_name(table, number): files.enter_context(_packed(text))
            for table, texts in tables.items()
            for number, text in enumerate(texts, start=1)
        }
        complete = changed(
            _without_homes(manifest),
            files={name: digest_of_blocks(_blocks(file)) for name, file in content.items()},
            counts=counts(scores),
            scores=aggregate(scores, manifest.scoring.pooled if manifest.scoring else (), metrics),
        )
        text = complete.to_json()
        complete = Manifest.from_json(text)  # what cannot be read must not be recorded
        _put_in_place(final, {**content, MANIFEST: io.BytesIO(text)}, replace=replace)
    return Run(final, complete)


def _put_in_place(final: Path, content: Mapping[str, IO[bytes]], *, replace: bool) -> None:
    """Make a run's folder, under its lock."""
    with run_lock(final):
        if not replace and (final / MANIFEST).exists():
            raise RecordedAlready(f"{final}: this run is recorded already")
        try:
            with writing(final, sum(file.seek(0, os.SEEK_END) for file in content.values())):
                _publish(final, content)
        except OSError as error:
            what = error.strerror or error
            raise LampbenchError(f"{final}: cannot be written ({what})") from error
        finally:
            with contextlib.suppress(OSError):  # then the next reader or writer does it
                put_right(final)


def _without_homes(manifest: Manifest) -> Manifest:
    """The manifest with portable paths in all that is not its identity."""
    names = ("command", "overrides", "hyperparameters", "failed_users", "dataset",
             "model_details", "scoring", "external")  # fmt: skip
    content = asdict(manifest)
    content |= {name: portable_value(content[name]) for name in names}
    return from_json(Manifest, loads(canonical(content)))


@contextlib.contextmanager
def _packed(text: TableText) -> Iterator[IO[bytes]]:
    """A table, compressed, in a temporary file where it is long."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        with writing(Path(tempfile.gettempdir())):
            write_compressed(text.blocks(), file)
        yield file


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The content of a file from its beginning, a block at a time."""
    file.seek(0)
    return iter(lambda: file.read(BLOCK), b"")


def _publish(final: Path, content: Mapping[str, IO[bytes]]) -> None:
    """Write a run's files, and exchange the folder that is there for theirs."""
    new = new_leftover(TEMPORARY, final)
    new.mkdir(parents=True)
    for name, file in content.items():
        with (new / name).open("wb") as stream:
            stream.writelines(_blocks(file))
        sync_file(new / name)
    sync_folder(new)
    if final.exists():
        final.rename(new_leftover(REPLACED, final))
    new.rename(final)
    sync_folder(final.parent)


def _check_references(root: Path, manifest: Manifest, predictions: Sequence[PredictionRow]) -> None:
    data = manifest.dataset
    asked = chain.from_iterable(
        recorded_references(shared_path(root, manifest.task, file), file.sha256)
        for file in data.queries_files
    )
    known = OrderedLookup(((user, query), reference) for user, query, reference in asked)
    for row in predictions:
        with contextlib.suppress(KeyError):
            if known.take((row.user, row.query)) == row.reference:
                continue
        raise ValueError(
            f"query {row.query!r} of user {row.user!r} is not in {data.queries_file.name}, or has "
            "another reference there"
        )


def _prediction_texts(predictions: Sequence[PredictionRow]) -> Iterator[TableText]:
    left_out = set(_OPTIONAL)
    for row in predictions:
        left_out -= {name for name in left_out if getattr(row, name) not in (None, ())}
    names = [field.name for field in fields(PredictionRow)]
    names = [name for name in names if name != "reference" and name not in left_out]
    return table_texts(names, ([getattr(row, name) for name in names] for row in predictions))
