"""What the runs on a dataset share, recorded once beside them: queries with their references, and
the history that prompts quote. Pages made from `results/` need no other data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from lampbench.core.dataset import Dataset, User
from lampbench.core.task import Task
from lampbench.data.dataset_statistics import dataset_statistics, length_in_words
from lampbench.record.columns import compress, decompress, from_text, rows_to_text
from lampbench.record.manifest import (
    DatasetOptions,
    DatasetStatistics,
    RecordedDataset,
    SharedFile,
)
from lampbench.record.paths import escape
from lampbench.record.typed_json import from_json
from lampbench.util.atomic import replace
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical
from lampbench.util.regular_file import read_regular

T = TypeVar("T")

SHOWN = 200
"""Characters of a past record's target that are kept."""


@dataclass(frozen=True, slots=True)
class RecordedQuery:
    """A test query. `reference` is None where it is withheld.

    Of a private run there are no fields and no reference; `sha256` is the digest of both.
    """

    user: str
    query: str
    fields: Mapping[str, str]
    reference: str | None
    sha256: str | None = None

    def without_texts(self) -> "RecordedQuery":
        """The query as private runs record it."""
        found = sha256(canonical([dict(self.fields), self.reference]).encode()).hexdigest()
        return RecordedQuery(self.user, self.query, {}, None, found)


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """A past record of a test user: its id, and the beginning of its target (None: private)."""

    user: str
    record: str
    beginning: str | None


def record_dataset(
    results: Path, dataset: Dataset, task: Task, *, private: bool = False
) -> RecordedDataset:
    """Write the files that runs on a dataset share, unless they are there, and describe it.

    Where it is `private`, no text of the users is written.

    Raises:
        LampbenchError: a file cannot be written.
    """
    row = asdict(dataset_statistics(dataset, task, length_in_words, "word"))
    elsewhere = ("task", "source", "synthetic", "users", "queries", "notes")
    users = dataset.test_users
    return RecordedDataset(
        source=dataset.source,
        options=from_json(DatasetOptions, _lists(dataset.asked)) if dataset.asked else None,
        fingerprint=dataset.fingerprint,
        query_fingerprint=dataset.query_fingerprint,
        synthetic=dataset.synthetic,
        train_users=len(dataset.train_users),
        test_users=len(users),
        queries=sum(len(user.queries) for user in users),
        notes=tuple(dataset.notes),
        statistics=from_json(
            DatasetStatistics, {name: v for name, v in row.items() if name not in elsewhere}
        ),
        queries_file=write_queries(results, dataset.task, _queries(users, private)),
        histories_file=write_histories(results, dataset.task, _histories(users, private)),
        cut_from=dataset.cut_from or None,
    )


def write_queries(results: Path, task: str, queries: Iterable[RecordedQuery]) -> SharedFile:
    """Record test queries under a name made from their content."""
    return _write(results, task, "queries", _query_text(queries))


def queries_file(queries: Iterable[RecordedQuery]) -> SharedFile:
    """The name and digest that these queries have when they are written."""
    return _named("queries", _query_text(queries))


def _query_text(queries: Iterable[RecordedQuery]) -> bytes:
    """The queries as JSON; digests are a column where the first query has one, and so all do."""
    rest = iter(queries)
    first = next(rest, None)
    names = ["user", "query", "fields", "reference"]
    names += ["sha256"] if first is not None and first.sha256 else []
    given = chain([] if first is None else [first], rest)
    return rows_to_text(names, ([getattr(one, name) for name in names] for one in given))


def write_histories(results: Path, task: str, histories: Iterable[RecordedHistory]) -> SharedFile:
    """Record the beginnings of users' past targets under a name made from their content."""
    return _write(results, task, "histories", _history_text(histories))


def histories_file(histories: Iterable[RecordedHistory]) -> SharedFile:
    """The name and digest that these beginnings have when they are written."""
    return _named("histories", _history_text(histories))


def _history_text(histories: Iterable[RecordedHistory]) -> bytes:
    names = ("user", "record", "beginning")
    return rows_to_text(names, ((one.user, one.record, one.beginning) for one in histories))


def _named(kind: str, content: bytes) -> SharedFile:
    digest = sha256(content).hexdigest()
    return SharedFile(f"{digest[:16]}.{kind}.json.gz", digest)


def shared_path(results: Path, task: str, file: SharedFile) -> Path:
    """Where a shared file is."""
    return results / escape(task) / file.name


def read_queries(path: Path, expected: str) -> dict[tuple[str, str], RecordedQuery]:
    """Test queries by user and query.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    return {(row.user, row.query): row for row in _read(path, expected, RecordedQuery)}


def recorded_references(path: Path, expected: str) -> dict[tuple[str, str], str | None]:
    """The references of test queries by user and query.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    columns = from_text(content_of(path, expected))
    try:
        places = zip(columns["user"], columns["query"], strict=True)
        return dict(zip(places, columns["reference"], strict=True))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name}: no table of queries") from error


def read_histories(path: Path, expected: str) -> list[RecordedHistory]:
    """Past records of users, oldest first.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    return _read(path, expected, RecordedHistory)


def content_of(path: Path, expected: str) -> bytes:
    """The uncompressed content of a shared file.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    try:
        content = decompress(read_regular(path))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path.name} cannot be read ({error})") from error
    if sha256(content).hexdigest() != expected:
        raise ValueError(f"{path.name} was changed after the run")
    return content


def _queries(users: Iterable[User], private: bool) -> Iterable[RecordedQuery]:
    for user in users:
        for query in user.queries:
            found = RecordedQuery(user.id, query.id, dict(query.fields), query.reference)
            yield found.without_texts() if private else found


def _histories(users: Iterable[User], private: bool) -> Iterable[RecordedHistory]:
    for user in users:
        for record in user.history:
            beginning = None if private else record.target[:SHOWN]
            yield RecordedHistory(user.id, record.id, beginning)


def _write(results: Path, task: str, kind: str, content: bytes) -> SharedFile:
    file = _named(kind, content)
    path = shared_path(results, task, file)
    try:
        content_of(path, file.sha256)
    except ValueError:  # not there, or damaged: this is its content
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, compress(content))
        except OSError as error:
            raise LampbenchError(f"{path}: cannot be written ({error.strerror})") from error
    return file


def _read(path: Path, expected: str, kind: type[T]) -> list[T]:
    content = content_of(path, expected)
    try:
        columns = from_text(content)
        return [
            from_json(kind, dict(zip(columns, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ]
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _lists(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would have it."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asked.items()}
