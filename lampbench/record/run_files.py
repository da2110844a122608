"""The predictions and scores of a run, from the content of its files; every value is checked."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from lampbench.plugin.metric import Value
from lampbench.record.columns import from_text
from lampbench.record.dataset_files import RecordedQuery
from lampbench.record.gzip_text import decompress
from lampbench.record.manifest import MANIFEST, Manifest
from lampbench.record.typed_json import brief, from_json
from lampbench.scoring.aggregate import Means, aggregate, counts
from lampbench.scoring.catalog import is_built_in
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.hashing import file_digest
from lampbench.util.regular_file import read_regular


def checked_content(file: Path, expected: str) -> bytes:
    """The content of a run's file, if its SHA-256 is the one expected.

    Raises:
        ValueError: the file is missing, unreadable or has other content.
    """
    with _reading(file):
        content = read_regular(file)
    _require(file, sha256(content).hexdigest(), expected)
    return content


def check_run_file(file: Path, expected: str) -> None:
    """As `checked_content`; the content is not in memory as a whole.

    Raises:
        ValueError: the file is missing, unreadable or has other content.
    """
    with _reading(file):
        found = file_digest(file)
    _require(file, found, expected)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    if not file.is_file():
        raise ValueError(f"{file.name} is missing")
    try:
        yield
    except OSError as error:
        raise ValueError(f"{file.name} cannot be read: {error.strerror}") from error


def _require(file: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ValueError(f"{file.name} was changed after the run (its hash is not the manifest's)")


def read_predictions(
    content: bytes, queries: Mapping[tuple[str, str], RecordedQuery]
) -> list[PredictionRow]:
    """Predictions with the references of the queries that they answer.

    Raises:
        ValueError: a row is no prediction, or answers no query of the dataset, or one twice.
    """
    columns = from_text(decompress(content))
    rows = [
        _prediction(dict(zip(columns, row, strict=True)), queries)
        for row in zip(*columns.values(), strict=True)
    ]
    _check_distinct([(row.user, row.query) for row in rows])
    return rows


def read_scores(content: bytes, manifest: Manifest) -> ScoreTable:
    """The scores of each query.

    Raises:
        ValueError: a value is no score, or the manifest's means are not those of the scores.
    """
    columns = from_text(decompress(content))
    for name in ("user", "query"):
        if name not in columns:
            raise ValueError(f"{name} is missing")
        if wrong := [value for value in columns[name] if not isinstance(value, str)]:
            raise ValueError(f"{name} must be text, one is {brief(wrong[0])}")
    users, queries = columns.pop("user"), columns.pop("query")
    found = ScoreTable(
        tuple(users), tuple(queries), {name: _scores(name, c) for name, c in columns.items()}
    )
    return check_scores(found, manifest)


def check_scores(found: ScoreTable, manifest: Manifest) -> ScoreTable:
    """The scores, if their means are those of the manifest.

    Raises:
        ValueError: they are not, or a query is there twice.
    """
    _check_distinct(found.places)
    pooled = manifest.scoring.pooled if manifest.scoring else ()
    means = aggregate(found, pooled)
    # what a plugin makes of its values is its own affair, and the plugin may not be here
    checked = {name for name in means if name not in pooled or is_built_in(name)}
    same = counts(found) == manifest.counts and _equal(manifest.scores, means, checked)
    if not same:
        raise ValueError(f"the scores in {MANIFEST} are not the means of this file")
    return found


def _prediction(
    row: dict[str, Any], queries: Mapping[tuple[str, str], RecordedQuery]
) -> PredictionRow:
    found = from_json(PredictionRow, {**row, "reference": None})
    query = queries.get((found.user, found.query))
    if query is None:
        where = f"query {brief(found.query)} of user {brief(found.user)}"
        raise ValueError(f"{where} is not in the dataset")
    return replace(found, reference=query.reference)


_LARGEST = 1e100  # so that sums and squares stay finite too


def _scores(metric: str, values: Sequence[Any]) -> tuple[Value, ...]:
    for value in values:
        if value is not None and not isinstance(value, (bool, int, float)):
            raise ValueError(f"{brief(metric)} must be a number or null, one is {brief(value)}")
        if value is not None and not -_LARGEST <= value <= _LARGEST:  # false for NaN too
            raise ValueError(f"{brief(metric)} must be finite, one is not")
    return tuple(values)


def _check_distinct(places: Sequence[tuple[str, str]]) -> None:
    seen: set[tuple[str, str]] = set()
    for user, query in places:
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
