"""From published rows (one question with its asker's profile) to users with one history each.

The rows are read twice: once for all questions and the size of every history, then again for the
records of the test users alone. So a file of gigabytes needs the memory of its questions, and
digests of its records: 16 bytes per distinct record of a user, 28 where user ids are inferred.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lampbench.core.dataset import Query, Record, User
from lampbench.data.choose_test_users import choose_test_users
from lampbench.data.loaders.entry_parser import EntryParser
from lampbench.data.loaders.infer_user_ids import ProfileMatcher
from lampbench.data.options import DataOptions
from lampbench.data.time_order import oldest_first
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.util.hashing import digest


class PublishedRow(NamedTuple):
    """One question of a published file; `user` is None if the file does not say who asks.

    `profile` are the asker's records as the file has them: to parse them is most of the work of
    reading a row. Of a `repeated` question only the profile counts.
    """

    where: str
    split: str
    user: str | None
    query: Query
    profile: Sequence[object]
    repeated: bool = False


@dataclass(slots=True)
class _Asker:
    """What is kept of a user in the first reading.

    `records` has two rows: digests of whole records, sorted, and of the fields of each.
    """

    queries: list[Query] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    records: NDArray[np.uint64] = field(default_factory=lambda: np.zeros((2, 0), np.uint64))

    def add(self, records: NDArray[np.uint64]) -> None:
        """Add records that may be there already."""
        both = np.concatenate([self.records, records], axis=1)
        _, places = np.unique(both[0], return_index=True)
        if len(places) > self.records.shape[1]:
            self.records = both[:, places]

    @property
    def own_queries(self) -> int:
        """The number of records that are one of the user's own questions."""
        return int(np.isin(self.records[1], np.array([*self.asked], np.uint64)).sum())

    @property
    def history(self) -> int:
        """The number of other records."""
        return len(self.records[0]) - self.own_queries


@dataclass(frozen=True, slots=True)
class GroupedUsers:
    """Test users, training users, and notes on what was found in the files."""

    test: tuple[User, ...]
    train: tuple[User, ...]
    notes: tuple[str, ...]


def group_by_user(
    rows: Callable[[], Iterator[PublishedRow]],
    parser: EntryParser,
    options: DataOptions,
    where: str,
) -> GroupedUsers:
    """Group rows by user and choose the test users by the paper's protocol.

    A user's history is the union of the profiles of the user's questions, without records that
    are themselves one of these questions, oldest first if all records are dated. Users who train
    the task adapter keep their questions alone.

    Args:
        rows: returns an iterator over all rows at each call, always in the same order.
        parser: tells records apart.
        options: number of test users, minimum history, seed.
        where: the source's name, for errors.

    Raises:
        LampbenchError: too few users, or what `rows` raises.
    """
    counts: Counter[str] = Counter()
    people, askers = _first_reading(rows(), parser, counts)
    lengths = {name: person.history for name, person in people.items() if person.queries}
    chosen, notes = choose_test_users(lengths, options, where)
    histories, undated = _histories(rows(), askers, set(chosen), people, parser)
    asked = sum(people[name].own_queries for name in chosen)
    counts["history records that are one of the test user's own queries, removed"] = asked
    counts["test users without a date on every record, history kept in file order"] = undated
    train = [name for name in lengths if name not in histories]
    unreferenced = sum(q.reference is None for name in train for q in people[name].queries)
    counts["training queries without a reference, removed"] = unreferenced
    users = [User(name, (), _referenced(people[name])) for name in train]
    return GroupedUsers(
        tuple(User(name, histories[name], tuple(people[name].queries)) for name in chosen),
        tuple(user for user in users if user.queries),
        (*notes, *(f"{what}: {count}" for what, count in counts.items() if count)),
    )


def _referenced(person: _Asker) -> tuple[Query, ...]:
    return tuple(query for query in person.queries if query.reference is not None)


def _first_reading(
    rows: Iterator[PublishedRow], parser: EntryParser, counts: Counter[str]
) -> tuple[dict[str, _Asker], list[str]]:
    """All users with their questions and record digests, and the user of each row."""
    people: dict[str, _Asker] = {}
    askers: list[str] = []
    split_of_id: dict[str, str] = {}
    matcher = ProfileMatcher()
    named: PublishedRow | None = None
    digests = _RecordDigests(parser, counts)
    for row in rows:
        records = digests.of(row)
        named = named or row
        if (row.user is None) != (named.user is None):
            raise LampbenchError(_named_in_part(named, row))
        name = row.user
        if name is None:
            name = matcher.user_of(records[0], row.query.id)
        askers.append(name)
        person = people.setdefault(name, _Asker())
        person.add(records)
        if row.repeated:
            counts["repeated questions, one kept"] += 1
            continue
        if row.query.reference == "":
            counts["queries with an empty reference, removed"] += 1
            continue
        query = row.query
        if split_of_id.setdefault(query.id, row.split) != row.split:
            counts["queries renamed SPLIT:ID because another split has the same id"] += 1
            query = replace(query, id=f"{row.split}:{query.id}")
        person.queries.append(query)
        person.asked.add(parser.input_key(query))
    return people, askers


def _named_in_part(first: PublishedRow, row: PublishedRow) -> str:
    has, lacks = (row, first) if first.user is None else (first, row)
    return (
        f"{lacks.where}: has no user_id, and {has.where} has one: a user of both would count as "
        "two people; give every question of all splits its user_id, or none"
    )


class _Parsed(NamedTuple):
    """What the first reading needs of a record."""

    entry: object
    id: str
    key: int
    input_key: int
    is_empty: bool


class _RecordDigests:
    """Digests of profiles.

    A user's questions carry the same records but for few, and are near each other in published
    files: what is as in the profile before is not parsed again.
    """

    def __init__(self, parser: EntryParser, counts: Counter[str]) -> None:
        self._parser, self._counts = parser, counts
        self._before: dict[str, _Parsed] = {}

    def of(self, row: PublishedRow) -> NDArray[np.uint64]:
        """Digests of a row's profile as `_Asker.records` has them.

        Raises:
            LampbenchError: one id has two contents, or an entry is no record of the task.
        """
        found: dict[int, int] = {}
        ids: dict[str, int] = {}
        here: dict[str, _Parsed] = {}
        for number, entry in enumerate(row.profile, 1):
            record = self._parsed(entry, row.where, number, here)
            if ids.setdefault(record.id, record.key) != record.key:
                raise LampbenchError(
                    f"{row.where}: two records of the profile have the id "
                    f"{short_repr(record.id)}; give each its own"
                )
            if record.is_empty:
                self._counts["profile entries with an empty target, removed (all users)"] += 1
            elif record.key in found:
                self._counts["repeated profile entries, one kept (all users)"] += 1
            else:
                found[record.key] = record.input_key
        self._before = here
        digests = np.array([[*found], [*found.values()]], np.uint64)
        return digests[:, digests[0].argsort()]

    def _parsed(self, entry: object, where: str, number: int, here: dict[str, _Parsed]) -> _Parsed:
        name = entry.get("id") if isinstance(entry, dict) else None
        known = self._before.get(name) if isinstance(name, str) else None
        if known is None or known.entry != entry:
            record = self._parser.read_record(entry, f"{where}: profile entry {number}")
            keys = self._parser.record_key(record), self._parser.input_key(record)
            known = _Parsed(entry, record.id, *keys, not record.target)
            if not _has_texts_alone(entry):
                return known  # 1, 1.0 and true are equal here, and not in a file
        if isinstance(name, str):
            here[name] = known
        return known


def _has_texts_alone(entry: object) -> bool:
    return isinstance(entry, dict) and all(type(value) is str for value in entry.values())


def _histories(
    rows: Iterator[PublishedRow],
    askers: Sequence[str],
    chosen: set[str],
    people: dict[str, _Asker],
    parser: EntryParser,
) -> tuple[dict[str, tuple[Record, ...]], int]:
    """The histories of the chosen users, and how many of them are not fully dated."""
    histories: dict[str, dict[int, Record]] = {name: {} for name in chosen}
    for name, row in zip(askers, rows, strict=True):
        for record in parser.read_profile(row.profile, row.where) if name in chosen else ():
            if record.target and parser.input_key(record) not in people[name].asked:
                histories[name].setdefault(parser.record_key(record), record)
    ordered = {name: oldest_first(_with_own_ids(found)) for name, found in histories.items()}
    undated = sum(not dated for _, dated in ordered.values())
    return {name: records for name, (records, _) in ordered.items()}, undated


def _with_own_ids(records: dict[int, Record]) -> list[Record]:
    """Records with ids of their own: the profiles of two questions may reuse the same numbers."""
    taken: set[str] = set()
    found = []
    for key, record in records.items():
        if record.id in taken:
            record = replace(record, id=f"{record.id}-{digest(key, 8)}")
        taken.add(record.id)
        found.append(record)
    return found
