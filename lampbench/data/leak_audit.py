"""Does text of a tested user stand where it must not? By id, by author and by shared word runs.

What counts as a leak: a query of a test or dev user, its input or its reference, that stands in
any history, in the data of the other of these two sides, in a training record or in a
pre-training text; a user on two sides; a paper by a tested user in another's data. Histories that
stand elsewhere, and a query that two users of one side are asked, are reported. In data that was
cut to be without them (`strict`, the bundled data) they are leaks too, and so are users on two
sides whose names differ in spelling alone. Always only reported: training records that stand twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.corpus_sketch import Sketch
from lampbench.data.overlap import Case, Index, Item, cases, sketched
from lampbench.data.word_runs import run_hashes

TEST_QUERIES, DEV_QUERIES = "test queries", "dev queries"
TEST_HISTORY, DEV_HISTORY = "history of test users", "history of dev users"
TRAINING, PRETRAINING = "training records", "pre-training text"

Credits = Mapping[str, Sequence[str]]
"""The authors of each paper, by its id."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """What must not stand where; of histories of one side only whole records are compared."""

    what: str
    where: str
    leak: bool
    texts: bool = True


_PAIRS = (
    _Pair(TEST_QUERIES, TEST_HISTORY, leak=True),
    _Pair(TEST_QUERIES, TEST_QUERIES, leak=False),
    _Pair(TEST_QUERIES, DEV_HISTORY, leak=True),
    _Pair(TEST_QUERIES, DEV_QUERIES, leak=True),
    _Pair(TEST_QUERIES, TRAINING, leak=True),
    _Pair(TEST_HISTORY, TEST_HISTORY, leak=False, texts=False),
    _Pair(TEST_HISTORY, DEV_HISTORY, leak=False),
    _Pair(TEST_HISTORY, TRAINING, leak=False),
    _Pair(DEV_QUERIES, TEST_HISTORY, leak=True),
    _Pair(DEV_QUERIES, DEV_HISTORY, leak=True),
    _Pair(DEV_QUERIES, DEV_QUERIES, leak=False),
    _Pair(DEV_QUERIES, TRAINING, leak=True),
    _Pair(DEV_HISTORY, DEV_HISTORY, leak=False, texts=False),
    _Pair(DEV_HISTORY, TRAINING, leak=False),
    _Pair(TRAINING, TRAINING, leak=False, texts=False),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `compared` of `what` were looked for in `where`, `cases` were found there.

    `by` is `id` (the same record), `author` (the name) or `words` (13 in a row). `leak` says
    whether a case is a leak, or only reported.
    """

    what: str
    where: str
    by: str
    compared: int
    leak: bool
    cases: tuple[Case, ...]


class Audit:
    """A dataset's users, laid out to be compared with one another and with other text.

    Args:
        dataset: test and training users.
        dev: users to tune on, where the source has them.
        names: the input fields by which a record is known again, the task's.
        strict: ids mean the same in every user's data, and nothing at all may be shared.
    """

    def __init__(
        self, dataset: Dataset, dev: Sequence[User], names: Sequence[str], *, strict: bool
    ) -> None:
        self._users = {"test": dataset.test_users, "dev": dev, "training": dataset.train_users}
        self._strict = strict
        self._groups: dict[str, list[Item]] = {
            TEST_QUERIES: list(_items(dataset.test_users, "test", "queries", names)),
            TEST_HISTORY: list(_items(dataset.test_users, "test", "history", names)),
            DEV_QUERIES: list(_items(dev, "dev", "queries", names)),
            DEV_HISTORY: list(_items(dev, "dev", "history", names)),
            TRAINING: [
                *_items(dataset.train_users, "training", "history", names),
                *_items(dataset.train_users, "training", "queries", names),
            ],
        }

    def within(self) -> list[Finding]:
        """Between the users: who stands on two sides, which records and which runs are shared."""
        found = [self._users_on_two_sides(str, "id"), self._users_on_two_sides(spelled, "author")]
        for what, pairs in groupby(_PAIRS, key=lambda pair: pair.what):
            subjects = self._groups[what]
            index = Index(subjects)
            for pair in pairs:
                others = self._groups[pair.where]
                if not (subjects and others):
                    continue
                leak = pair.leak or (self._strict and what != TRAINING)
                given = (what, pair.where)
                same = self._same_records(subjects, others)
                found.append(Finding(*given, "id", len(subjects), leak, same))
                if pair.texts:
                    shared = cases(index.shared_with(others))
                    found.append(Finding(*given, "words", len(subjects), leak, _worst(shared)))
        return found

    def by_author(self, credits: Credits) -> Finding:
        """Papers that a tested user wrote, as whichever author, in another user's data."""
        tested = {user.id for side in ("test", "dev") for user in self._users[side]}
        return shared_papers((i for group in self._groups.values() for i in group), tested, credits)

    def in_documents(self, documents: Iterable[Item]) -> list[Finding]:
        """What of the users stands in a pre-training text, which is gone through once."""
        names: set[str] = set()

        def seen() -> Iterator[Item]:
            for document in documents:
                names.add(document.id)
                yield document

        index = Index([item for group in self._groups.values() for item in group])
        shared = index.shared_with(seen())
        found: list[Finding] = []
        for what, items in self._groups.items():
            of_group = set(items)
            here = cases(entry for entry in shared if entry[0] in of_group)
            found += self._in_pretraining(what, items, names, here)
        return found

    def in_sketch(self, sketch: Sketch) -> list[Finding]:
        """What of the users stands in a pre-training text that only its sketch is left of."""
        found: list[Finding] = []
        for what, items in self._groups.items():
            here = sketched(items, sketch, PRETRAINING)
            found += self._in_pretraining(what, items, sketch.documents, here)
        return found

    def _in_pretraining(
        self, what: str, items: Sequence[Item], documents: Iterable[str], shared: list[Case]
    ) -> list[Finding]:
        if not items:
            return []
        leak = self._strict or what in (TEST_QUERIES, DEV_QUERIES)
        found = [Finding(what, PRETRAINING, "words", len(items), leak, _worst(shared))]
        if self._strict:
            names = frozenset(documents)
            same = tuple(
                Case(str(item), f"document {item.id!r}") for item in items if item.id in names
            )
            found.insert(0, Finding(what, PRETRAINING, "id", len(items), leak, same))
        return found

    def _users_on_two_sides(self, key: Callable[[str], str], by: str) -> Finding:
        """Users of one id (by `id`), or of names that are spelled alike (by `author`)."""
        alike: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for side, users in self._users.items():
            for user in users:
                alike[key(user.id)].append((side, user.id))
        found = tuple(
            Case("user {1!r} ({0})".format(*here[0]), "user {1!r} ({0})".format(*there))
            for here in alike.values()
            for there in here[1:]
            if there[0] != here[0][0] and (by == "id" or there[1] != here[0][1])
        )
        count = sum(len(users) for users in self._users.values())
        return Finding("users", "another side", by, count, by == "id" or self._strict, found)

    def _same_records(self, subjects: Sequence[Item], others: Sequence[Item]) -> tuple[Case, ...]:
        """Subjects whose input (or, if strict, id) is also another item's.

        One user's own history may say a thing twice.
        """
        held: dict[object, list[Item]] = defaultdict(list)
        for item in others:
            for key in self._keys(item):
                held[key].append(item)
        found = []
        for item in subjects:
            twins = (
                other
                for key in self._keys(item)
                for other in held.get(key, ())
                if other is not item
                and (other.role == item.role == "query" or not _same_group_and_user(item, other))
            )
            if (twin := next(twins, None)) is not None:
                found.append(Case(str(item), str(twin)))
        return tuple(found)

    def _keys(self, item: Item) -> tuple[object, ...]:
        return (item.key, item.id) if self._strict else (item.key,)


def shared_papers(items: Iterable[Item], tested: set[str], credits: Credits) -> Finding:
    """Items of which a tested user is an author, and that stand in another user's data."""
    named = [item for item in items if item.id in credits]
    found = tuple(
        Case(str(item), f"the papers by {name!r}")
        for item in named
        for name in credits[item.id]
        if name in tested and name != item.user
    )
    return Finding("records", "papers of another tested user", "author", len(named), True, found)


def leaks(findings: Iterable[Finding]) -> int:
    """The number of cases that are leaks."""
    return sum(len(finding.cases) for finding in findings if finding.leak)


def document(name: str, texts: tuple[str, ...]) -> Item:
    """A document of a pre-training text, to be looked for in `Audit.in_documents`."""
    return Item("pre-training", "document", "", name, texts, runs=run_hashes(texts))


def _items(users: Iterable[User], side: str, kind: str, names: Sequence[str]) -> Iterator[Item]:
    role = "query" if kind == "queries" and side != "training" else "record"
    for user in users:
        entries: Sequence[Record | Query] = user.queries if kind == "queries" else user.history
        for entry in entries:
            written = entry.target if isinstance(entry, Record) else entry.reference
            texts = (*entry.fields.values(), *([written] if written else []))
            key = _key([entry.fields.get(name, "") for name in names])
            yield Item(side, role, user.id, entry.id, texts, key, run_hashes(texts))


def _key(fields: Sequence[str]) -> int:
    content = "\0".join(" ".join(field.split()).casefold() for field in fields)
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big")


def spelled(name: str) -> str:
    """A name without case, spaces and signs; one with digits as it is, as most ids are.

    "Will Sullivan" and "willsullivan" are one person.
    """
    letters = "".join(filter(str.isalpha, name.casefold()))
    return letters if letters and not any(map(str.isdigit, name)) else name


def _same_group_and_user(item: Item, other: Item) -> bool:
    return (item.side, item.role, item.user) == (other.side, other.role, other.user)


def _worst(found: Iterable[Case]) -> tuple[Case, ...]:
    """Those of which most stands elsewhere first."""
    return tuple(sorted(found, key=lambda case: (-(case.share or 0.0), case.what)))
