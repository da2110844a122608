"""What the runs on a dataset share, recorded once beside them: queries with their references, and
the history that prompts quote. Pages made from `results/` need no other data.
"""

import contextlib
import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from lampbench.core.dataset import Dataset, User
from lampbench.core.task import Task
from lampbench.data.dataset_statistics import dataset_statistics, length_in_words
from lampbench.record.columns import TableText, column_values, from_text
from lampbench.record.gzip_text import digest_of_blocks, text_blocks, write_compressed
from lampbench.record.paths import escape
from lampbench.record.recorded_dataset import (
    DatasetOptions,
    DatasetStatistics,
    RecordedDataset,
    SharedFile,
)
from lampbench.record.recorded_file import open_recorded
from lampbench.record.table_files import (
    Columns,
    naming,
    read_columns,
    rows_of,
    short_text,
    table_texts,
)
from lampbench.record.typed_json import from_json
from lampbench.util.atomic import replacing
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical

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
    queries = write_queries(results, dataset.task, _queries(users, private))
    histories = write_histories(results, dataset.task, _histories(users, private))
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
        queries_file=queries[0],
        histories_file=histories[0],
        cut_from=dataset.cut_from or None,
        more_queries_files=queries[1:],
        more_histories_files=histories[1:],
    )


def write_queries(
    results: Path, task: str, queries: Iterable[RecordedQuery]
) -> tuple[SharedFile, ...]:
    """Record test queries, in files that are named by their content: one, or several if long."""
    return _write(results, task, "queries", _query_texts(queries))


def queries_files(queries: Iterable[RecordedQuery]) -> tuple[SharedFile, ...]:
    """The names and digests of the files of these queries when they are written."""
    return tuple(_named("queries", text) for text in _query_texts(queries))


def _query_texts(queries: Iterable[RecordedQuery]) -> Iterator[TableText]:
    """The queries as JSON; digests are a column where the first query has one, and so all do."""
    rest = iter(queries)
    first = next(rest, None)
    names = ["user", "query", "fields", "reference"]
    names += ["sha256"] if first is not None and first.sha256 else []
    given = chain([] if first is None else [first], rest)
    return table_texts(names, ([getattr(one, name) for name in names] for one in given))


def write_histories(
    results: Path, task: str, histories: Iterable[RecordedHistory]
) -> tuple[SharedFile, ...]:
    """Record the beginnings of users' past targets, in files as those of `write_queries`."""
    return _write(results, task, "histories", _history_texts(histories))


def histories_files(histories: Iterable[RecordedHistory]) -> tuple[SharedFile, ...]:
    """The names and digests of the files of these beginnings when they are written."""
    return tuple(_named("histories", text) for text in _history_texts(histories))


def _history_texts(histories: Iterable[RecordedHistory]) -> Iterator[TableText]:
    names = ("user", "record", "beginning")
    return table_texts(names, ((one.user, one.record, one.beginning) for one in histories))


def _named(kind: str, text: TableText) -> SharedFile:
    digest = text.sha256()
    return SharedFile(f"{digest[:16]}.{kind}.json.gz", digest)


def shared_path(results: Path, task: str, file: SharedFile) -> Path:
    """Where a shared file is."""
    return results / escape(task) / file.name


def read_queries(path: Path, expected: str) -> Iterator[RecordedQuery]:
    """The test queries in a file; a long file is not in memory.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    return _read(path, expected, RecordedQuery)


def recorded_references(path: Path, expected: str) -> Iterator[tuple[str, str, str | None]]:
    """User, query and reference of each test query, of which few at a time are in memory.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    check_content(path, expected)
    with contextlib.ExitStack() as files:
        columns = []
        for name in ("user", "query", "reference"):
            stream = gzip.open(path)  # noqa: SIM115 (closed with the others)
            files.callback(stream.close)
            columns.append(column_values(cast(IO[bytes], stream), name))
        yield from zip(*columns, strict=True)


def read_histories(path: Path, expected: str) -> Iterator[RecordedHistory]:
    """The past records in a file, oldest first for each user; a long file is not in memory.

    Raises:
        ValueError: the file is missing, damaged or has other content.
    """
    return _read(path, expected, RecordedHistory)


def check_content(path: Path, expected: str) -> None:
    """Whether a shared file has the content that is expected.

    Raises:
        ValueError: it has not, or is missing or damaged.
    """
    with open_recorded(path) as stream:
        _require_content(path, stream, expected)


def _require_content(path: Path, stream: IO[bytes], expected: str) -> None:
    with _unpacking(path):
        found = digest_of_blocks(text_blocks(stream))
    _require_digest(path, found, expected)


@contextlib.contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path.name} cannot be read ({error})") from error


def _require_digest(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise ValueError(f"{path.name} was changed after the run")


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


def _write(
    results: Path, task: str, kind: str, texts: Iterable[TableText]
) -> tuple[SharedFile, ...]:
    return tuple(_write_one(results, task, kind, text) for text in texts)


def _write_one(results: Path, task: str, kind: str, text: TableText) -> SharedFile:
    file = _named(kind, text)
    path = shared_path(results, task, file)
    try:
        check_content(path, file.sha256)
    except ValueError:  # not there, or damaged: this is its content
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as stream:
                write_compressed(text.blocks(), stream)
        except OSError as error:
            raise LampbenchError(f"{path}: cannot be written ({error.strerror})") from error
    return file


def _read(path: Path, expected: str, kind: type[T]) -> Iterator[T]:
    columns = _columns(path, expected)
    with naming(path.name):
        for row in rows_of(columns):
            yield from_json(kind, row)


def _columns(path: Path, expected: str) -> Columns:
    """The columns of a shared file; a short one is unpacked once, for its digest and its values."""
    with open_recorded(path) as stream:
        with _unpacking(path):
            text = short_text(stream)
        if text is None:
            _require_content(path, stream, expected)
        else:
            _require_digest(path, sha256(text).hexdigest(), expected)
        with naming(path.name):
            return read_columns(stream) if text is None else from_text(text)


def _lists(asked: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON would have it."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asked.items()}
