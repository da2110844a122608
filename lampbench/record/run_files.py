"""The predictions and scores of a run, from the content of its files; every value is checked."""

import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import TypeVar

from lampbench.record.dataset_files import RecordedQuery
from lampbench.record.manifest import MANIFEST, PREDICTIONS, SCORES, Manifest
from lampbench.record.recorded_file import open_recorded
from lampbench.record.table_files import Columns, naming, part_names, read_columns, rows_of
from lampbench.record.typed_json import brief, from_json
from lampbench.scoring.aggregate import Means, aggregate, counts
from lampbench.scoring.catalog import is_built_in
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import Place, ScoreTable
from lampbench.util.bounds import LARGEST_SCORE
from lampbench.util.disk_list import BlocksFile, DiskList, listed
from lampbench.util.errors import LampbenchError
from lampbench.util.ordered_lookup import OrderedLookup

T = TypeVar("T")


def checked_content(file: Path, expected: str) -> bytes:
    """The content of a run's file, if its SHA-256 is the one expected.

    Raises:
        ValueError: the file is missing, unreadable or has other content.
    """
    with open_recorded(file) as stream:
        _require(file, stream, expected)
        stream.seek(0)
        return stream.read()


def check_run_file(file: Path, expected: str) -> None:
    """As `checked_content`; the content is not in memory as a whole.

    Raises:
        ValueError: the file is missing, unreadable or has other content.
    """
    with open_recorded(file) as stream:
        _require(file, stream, expected)


def _require(file: Path, stream: BufferedReader, expected: str) -> None:
    if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
        raise ValueError(f"{file.name} was changed after the run (its hash is not the manifest's)")


def read_predictions(
    folder: Path, manifest: Manifest, queries: Iterable[RecordedQuery]
) -> Sequence[PredictionRow]:
    """Predictions with the references of the queries that they answer; many are on disk.

    Raises:
        ValueError: a file is not what was written, or a row is no prediction, or answers no query
            of the dataset, or one twice.
    """
    rows = listed(
        row for name, table in _tables(folder, manifest, PREDICTIONS) for row in _rows(name, table)
    )
    with naming(PREDICTIONS):
        users, asked = (listed(getattr(row, name) for row in rows) for name in ("user", "query"))
        _check_distinct(ScoreTable(users, asked, {}))
    references = OrderedLookup(((one.user, one.query), one.reference) for one in queries)
    return listed(_with_reference(row, references) for row in rows)


def read_scores(folder: Path, manifest: Manifest) -> ScoreTable:
    """The scores of each query; those of many are on disk.

    Raises:
        ValueError: a file is not what was written, a value is no score, or the manifest's means are
            not those of the scores.
    """
    tables = list(_tables(folder, manifest, SCORES))
    for name, table in tables:
        with naming(name):
            _check_score_columns(table, tables[0][1])
    file = BlocksFile()
    columns = {name: _column([table[name] for _, table in tables], file) for name in tables[0][1]}
    del tables
    users, queries = columns.pop("user"), columns.pop("query")
    with naming(SCORES):
        return check_scores(ScoreTable(users, queries, columns), manifest)


def _column(parts: Sequence[Sequence[T]], file: BlocksFile) -> Sequence[T]:
    if len(parts) == 1 and isinstance(parts[0], DiskList):
        return parts[0]
    found = listed(chain.from_iterable(parts), file)
    return tuple(found) if isinstance(found, list) else found


def _tables(folder: Path, manifest: Manifest, first: str) -> Iterator[tuple[str, Columns]]:
    """The files of a table, each with its name."""
    for name in part_names(manifest.files, first):
        file = folder / name
        with open_recorded(file) as stream:
            _require(file, stream, manifest.files[name])
            with naming(name):
                columns = read_columns(stream)
        yield name, columns


def same_queries(predictions: Sequence[PredictionRow], scores: ScoreTable) -> bool:
    """Whether both hold the same queries, once, in one order."""
    if len(predictions) != len(scores):
        return False
    places = zip(scores.users, scores.queries, strict=True)
    if any((p.user, p.query) != place for p, place in zip(predictions, places, strict=True)):
        return False
    return scores.has_each_query_once()


def check_scores(found: ScoreTable, manifest: Manifest) -> ScoreTable:
    """The scores, if their means are those of the manifest.

    Raises:
        ValueError: they are not, or a query is there twice.
    """
    _check_distinct(found)
    pooled = manifest.scoring.pooled if manifest.scoring else ()
    try:
        means = aggregate(found, pooled)
    except LampbenchError as error:  # values that no metric gave
        raise ValueError(str(error)) from error
    # what a plugin makes of its values is its own affair, and the plugin may not be here
    checked = {name for name in means if name not in pooled or is_built_in(name)}
    same = counts(found) == manifest.counts and _equal(manifest.scores, means, checked)
    if not same:
        raise ValueError(f"the scores in {MANIFEST} are not the means of this file")
    return found


def _rows(file: str, columns: Columns) -> Iterator[PredictionRow]:
    """The rows of a file of predictions, without references."""
    with naming(file):
        for row in rows_of(columns):
            yield from_json(PredictionRow, {**row, "reference": None})


def _with_reference(
    row: PredictionRow, references: OrderedLookup[tuple[str, str], str | None]
) -> PredictionRow:
    try:
        return replace(row, reference=references.take((row.user, row.query)))
    except KeyError:
        where = f"query {brief(row.query)} of user {brief(row.user)}"
        raise ValueError(f"{PREDICTIONS}: {where} is not in the dataset") from None


def _check_score_columns(columns: Columns, first: Columns) -> None:
    if other := columns.keys() ^ first.keys():
        raise ValueError(f"{brief(min(other))} is not in every file of the scores")
    for name in ("user", "query"):
        if name not in columns:
            raise ValueError(f"{name} is missing")
        for value in columns[name]:
            if not isinstance(value, str):
                raise ValueError(f"{name} must be text, one is {brief(value)}")
    for metric in columns.keys() - {"user", "query"}:
        for value in columns[metric]:
            if value is not None and not isinstance(value, (bool, int, float)):
                raise ValueError(f"{brief(metric)} must be a number or null, one is {brief(value)}")
            # no comparison holds for NaN
            if value is not None and not -LARGEST_SCORE <= value <= LARGEST_SCORE:
                raise ValueError(f"{brief(metric)} must be finite, one is not")


def _check_distinct(rows: ScoreTable) -> None:
    if rows.has_each_query_once():
        return
    seen: set[Place] = set()
    for user, query in zip(rows.users, rows.queries, strict=True):
        if (user, query) in seen:
            raise ValueError(f"query {brief(query)} of user {brief(user)} is there twice")
        seen.add((user, query))


def _equal(one: Mapping[str, Means], other: Mapping[str, Means], checked: Collection[str]) -> bool:
    """Whether two sets have the same metrics, and the means of those `checked` agree."""
    return one.keys() == other.keys() and all(
        _close(one[name].queries, other[name].queries)
        and _close(one[name].users, other[name].users)
        for name in checked
    )


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
