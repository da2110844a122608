"""From published rows (one question with its asker's profile) to users with one history each.

The rows are read twice: once for all questions and the size of every history, once more for the
records of the test users alone. So a file of gigabytes needs no more memory than its questions.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lampbench.core.dataset import Query, Record, User
from lampbench.data.choose_users import choose
from lampbench.data.options import DataOptions
from lampbench.data.record_format import Form
from lampbench.data.recover_users import Recovery
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest

_DATE = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2}.*)?)?", re.DOTALL)


class PublishedRow(NamedTuple):
    """One question of a published file; `user` is None where the file does not say who asks.

    Of a `repeated` question only the profile counts.
    """

    where: str
    part: str
    user: str | None
    query: Query
    profile: tuple[Record, ...]
    repeated: bool = False


@dataclass(slots=True)
class _Person:
    """What is kept of a user in the first reading; records as digests (whole -> fields)."""

    queries: list[Query] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    records: dict[int, int] = field(default_factory=dict)

    @property
    def history(self) -> int:
        """Records that are left when the user's own questions are taken out."""
        return sum(key not in self.asked for key in self.records.values())


@dataclass(frozen=True, slots=True)
class Pooled:
    """Users apart as the protocol wants them, and what was found on the way."""

    test: tuple[User, ...]
    train: tuple[User, ...]
    notes: tuple[str, ...]


def pool(
    rows: Callable[[], Iterator[PublishedRow]], form: Form, options: DataOptions, place: str
) -> Pooled:
    """Group rows by user and choose the test users by the paper's protocol.

    A user's history is the union of the profiles of the user's questions, without records that
    are themselves one of these questions, oldest first where all records are dated. Task-training
    users keep their questions alone.

    Args:
        rows: gives the rows anew at each call, always in the same order.
        form: tells records apart.
        options: number of test users, minimum history, seed.
        place: the source's name for errors.

    Raises:
        LampbenchError: too few users, or what `rows` raises.
    """
    counts: Counter[str] = Counter()
    people, askers = _first_reading(rows(), form, counts)
    lengths = {name: person.history for name, person in people.items() if person.queries}
    chosen, notes = choose(lengths, options, place)
    histories, undated = _histories(rows(), askers, set(chosen), people, form)
    asked = sum(
        key in people[name].asked for name in chosen for key in people[name].records.values()
    )
    counts["history records of test users that are one of the user's own queries, left out"] = asked
    counts["test users without a date on every record, records kept as in the file"] = undated
    train = [name for name in lengths if name not in histories]
    unreferenced = sum(q.reference is None for name in train for q in people[name].queries)
    counts["queries of training users without reference, left out"] = unreferenced
    users = [User(name, (), _referenced(people[name])) for name in train]
    return Pooled(
        tuple(User(name, histories[name], tuple(people[name].queries)) for name in chosen),
        tuple(user for user in users if user.queries),
        (*notes, *(f"{what}: {count}" for what, count in counts.items() if count)),
    )


def _referenced(person: _Person) -> tuple[Query, ...]:
    return tuple(query for query in person.queries if query.reference is not None)


def _first_reading(
    rows: Iterator[PublishedRow], form: Form, counts: Counter[str]
) -> tuple[dict[str, _Person], list[str]]:
    """All users with their questions and record digests, and the user of each row."""
    people: dict[str, _Person] = {}
    askers: list[str] = []
    taken: dict[str, str] = {}
    recovery = Recovery()
    for row in rows:
        records = _digests(row, form, counts)
        name = row.user if row.user is not None else _recovered(recovery, row, records)
        askers.append(name)
        person = people.setdefault(name, _Person())
        person.records.update(records)
        if row.repeated:
            counts["questions that stand twice, one kept"] += 1
            continue
        if row.query.reference == "":
            counts["queries with an empty reference, left out"] += 1
            continue
        query = row.query
        if taken.setdefault(query.id, row.part) != row.part:
            counts["queries whose id another part uses too, renamed PART:ID"] += 1
            query = replace(query, id=f"{row.part}:{query.id}")
        person.queries.append(query)
        person.asked.add(form.input_key(query.fields))
    return people, askers


def _recovered(recovery: Recovery, row: PublishedRow, records: dict[int, int]) -> str:
    return recovery.user_of(frozenset(records), row.query.id)


def _digests(row: PublishedRow, form: Form, counts: Counter[str]) -> dict[int, int]:
    """Digests of a profile: whole record -> its fields. Ids must not stand for two contents."""
    found: dict[int, int] = {}
    ids: dict[str, int] = {}
    for record in row.profile:
        key = form.record_key(record)
        if ids.setdefault(record.id, key) != key:
            raise LampbenchError(
                f"{row.where}: two records of the profile have the id {record.id!r}; "
                "give each its own"
            )
        if not record.target:
            counts["profile entries (of all users) with an empty target, left out"] += 1
        elif key in found:
            counts["profile entries (of all users) that stand twice, one kept"] += 1
        else:
            found[key] = form.input_key(record.fields)
    return found


def _histories(
    rows: Iterator[PublishedRow],
    askers: Sequence[str],
    chosen: set[str],
    people: dict[str, _Person],
    form: Form,
) -> tuple[dict[str, tuple[Record, ...]], int]:
    """The histories of the chosen users, and how many of them are not fully dated."""
    histories: dict[str, dict[int, Record]] = {name: {} for name in chosen}
    for name, row in zip(askers, rows, strict=True):
        for record in row.profile if name in chosen else ():
            if record.target and form.input_key(record.fields) not in people[name].asked:
                histories[name].setdefault(form.record_key(record), record)
    dated = {name: _in_order(_own_ids(found)) for name, found in histories.items()}
    undated = sum(not sorted_ for _, sorted_ in dated.values())
    return {name: records for name, (records, _) in dated.items()}, undated


def _own_ids(records: dict[int, Record]) -> list[Record]:
    """Records with ids of their own: profiles of two questions may number their entries alike."""
    taken: set[str] = set()
    found = []
    for key, record in records.items():
        if record.id in taken:
            record = replace(record, id=f"{record.id}-{digest(key, 8)}")
        taken.add(record.id)
        found.append(record)
    return found


def _in_order(records: list[Record]) -> tuple[tuple[Record, ...], bool]:
    """Records by date where every one has one (else as they stand), and whether they have."""
    if not all(record.date and _DATE.fullmatch(record.date) for record in records):
        return tuple(records), False
    return tuple(sorted(records, key=lambda record: record.date or "")), True
