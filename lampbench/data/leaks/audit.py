"""Does text of a tested user appear where it must not? By id, by name and by 13 words in a row.

What counts as a leak: a query of a test or dev user, its input or its reference, that is also in
any history, in the data of the other of these two groups, in a training record or in a
pre-training text; a user in two groups; a paper by a tested user in another's data. Histories that
are also elsewhere, and a query that two users of one group are asked, are reported. In data that
was cut to be without them (`strict`, the bundled data) they are leaks too, and so are users in two
groups whose names differ in spelling alone. Training records that appear twice are only reported.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.data.leaks.corpus_sketch import CorpusSketch
from lampbench.data.leaks.ngrams import ngram_hashes
from lampbench.data.leaks.overlap import (
    ComparedText,
    LeakCase,
    NgramIndex,
    overlap_cases,
    sketch_cases,
)

TEST_QUERIES, DEV_QUERIES = "test queries", "dev queries"
TEST_HISTORY, DEV_HISTORY = "history of test users", "history of dev users"
TRAINING, PRETRAINING = "training records", "pre-training text"

Credits = Mapping[str, Sequence[str]]
"""The authors of each paper, by its id."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is looked for where; of histories of one group only whole records are compared."""

    what: str
    where: str
    leak: bool
    texts: bool = True


_COMPARISONS = (
    _Comparison(TEST_QUERIES, TEST_HISTORY, leak=True),
    _Comparison(TEST_QUERIES, TEST_QUERIES, leak=False),
    _Comparison(TEST_QUERIES, DEV_HISTORY, leak=True),
    _Comparison(TEST_QUERIES, DEV_QUERIES, leak=True),
    _Comparison(TEST_QUERIES, TRAINING, leak=True),
    _Comparison(TEST_HISTORY, TEST_HISTORY, leak=False, texts=False),
    _Comparison(TEST_HISTORY, DEV_HISTORY, leak=False),
    _Comparison(TEST_HISTORY, TRAINING, leak=False),
    _Comparison(DEV_QUERIES, TEST_HISTORY, leak=True),
    _Comparison(DEV_QUERIES, DEV_HISTORY, leak=True),
    _Comparison(DEV_QUERIES, DEV_QUERIES, leak=False),
    _Comparison(DEV_QUERIES, TRAINING, leak=True),
    _Comparison(DEV_HISTORY, DEV_HISTORY, leak=False, texts=False),
    _Comparison(DEV_HISTORY, TRAINING, leak=False),
    _Comparison(TRAINING, TRAINING, leak=False, texts=False),
)


@dataclass(frozen=True, slots=True)
class LeakFinding:
    """One check: `compared` of `what` were looked for in `where`, `cases` were found there.

    `by` is `id` (the same record), `author` (the name) or `words` (13 in a row). `leak` says
    whether a case is a leak, or only reported.
    """

    what: str
    where: str
    by: str
    compared: int
    leak: bool
    cases: tuple[LeakCase, ...]


class LeakAudit:
    """Compares a dataset's users with one another and with a pre-training text.

    Args:
        dataset: test and training users.
        dev: users for choosing hyper-parameters, if the source has them.
        fields: the input fields by which records are compared, the task's.
        strict: ids mean the same in every user's data, and nothing at all may be shared.
    """

    def __init__(
        self, dataset: Dataset, dev: Sequence[User], fields: Sequence[str], *, strict: bool
    ) -> None:
        self._users = {"test": dataset.test_users, "dev": dev, "training": dataset.train_users}
        self._strict = strict
        self._texts: dict[str, list[ComparedText]] = {
            TEST_QUERIES: list(_compared_texts(dataset.test_users, "test", "queries", fields)),
            TEST_HISTORY: list(_compared_texts(dataset.test_users, "test", "history", fields)),
            DEV_QUERIES: list(_compared_texts(dev, "dev", "queries", fields)),
            DEV_HISTORY: list(_compared_texts(dev, "dev", "history", fields)),
            TRAINING: [
                *_compared_texts(dataset.train_users, "training", "history", fields),
                *_compared_texts(dataset.train_users, "training", "queries", fields),
            ],
        }

    def within(self) -> list[LeakFinding]:
        """Between the users: who is in two groups, which records and which words are shared."""
        found = [
            self._users_in_two_groups(str, "id"),
            self._users_in_two_groups(name_letters, "author"),
        ]
        for what, comparisons in groupby(_COMPARISONS, key=lambda one: one.what):
            subjects = self._texts[what]
            index = NgramIndex(subjects)
            for comparison in comparisons:
                others = self._texts[comparison.where]
                if not (subjects and others):
                    continue
                leak = comparison.leak or (self._strict and what != TRAINING)
                given = (what, comparison.where)
                same = self._same_records(subjects, others)
                found.append(LeakFinding(*given, "id", len(subjects), leak, same))
                if comparison.texts:
                    shared = overlap_cases(index.shared_with(others))
                    found.append(LeakFinding(*given, "words", len(subjects), leak, _worst(shared)))
        return found

    def by_author(self, credits: Credits) -> LeakFinding:
        """Papers with a tested user among the authors, in another user's data."""
        tested = {user.id for group in ("test", "dev") for user in self._users[group]}
        return papers_of_tested_users(
            (text for texts in self._texts.values() for text in texts), tested, credits
        )

    def in_documents(self, documents: Iterable[ComparedText]) -> list[LeakFinding]:
        """Texts of the users that are in a pre-training text, which is read once."""
        names: set[str] = set()

        def seen() -> Iterator[ComparedText]:
            for document in documents:
                names.add(document.id)
                yield document

        index = NgramIndex([text for texts in self._texts.values() for text in texts])
        shared = index.shared_with(seen())
        found: list[LeakFinding] = []
        for what, texts in self._texts.items():
            of_kind = set(texts)
            here = overlap_cases(entry for entry in shared if entry[0] in of_kind)
            found += self._in_pretraining(what, texts, names, here)
        return found

    def in_sketch(self, sketch: CorpusSketch) -> list[LeakFinding]:
        """Texts of the users that are in a pre-training text, as far as its sketch tells."""
        found: list[LeakFinding] = []
        for what, texts in self._texts.items():
            here = sketch_cases(texts, sketch, PRETRAINING)
            found += self._in_pretraining(what, texts, sketch.documents, here)
        return found

    def _in_pretraining(
        self,
        what: str,
        texts: Sequence[ComparedText],
        documents: Iterable[str],
        shared: list[LeakCase],
    ) -> list[LeakFinding]:
        if not texts:
            return []
        leak = self._strict or what in (TEST_QUERIES, DEV_QUERIES)
        found = [LeakFinding(what, PRETRAINING, "words", len(texts), leak, _worst(shared))]
        if self._strict:
            names = frozenset(documents)
            same = tuple(
                LeakCase(str(text), f"document {text.id!r}") for text in texts if text.id in names
            )
            found.insert(0, LeakFinding(what, PRETRAINING, "id", len(texts), leak, same))
        return found

    def _users_in_two_groups(self, key: Callable[[str], str], by: str) -> LeakFinding:
        """Users of one id (by `id`), or whose names have the same letters (by `author`)."""
        alike: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for group, users in self._users.items():
            for user in users:
                alike[key(user.id)].append((group, user.id))
        found = tuple(
            LeakCase("user {1!r} ({0})".format(*here[0]), "user {1!r} ({0})".format(*there))
            for here in alike.values()
            for there in here[1:]
            if there[0] != here[0][0] and (by == "id" or there[1] != here[0][1])
        )
        count = sum(len(users) for users in self._users.values())
        return LeakFinding("users", "another group", by, count, by == "id" or self._strict, found)

    def _same_records(
        self, subjects: Sequence[ComparedText], others: Sequence[ComparedText]
    ) -> tuple[LeakCase, ...]:
        """Subjects whose input (or, if strict, id) is also another text's.

        A user's own history may have a text twice.
        """
        held: dict[object, list[ComparedText]] = defaultdict(list)
        for text in others:
            for key in self._keys(text):
                held[key].append(text)
        found = []
        for text in subjects:
            twins = (
                other
                for key in self._keys(text)
                for other in held.get(key, ())
                if other is not text
                and (other.role == text.role == "query" or not _same_user(text, other))
            )
            if (twin := next(twins, None)) is not None:
                found.append(LeakCase(str(text), str(twin)))
        return tuple(found)

    def _keys(self, text: ComparedText) -> tuple[object, ...]:
        return (text.key, text.id) if self._strict else (text.key,)


def papers_of_tested_users(
    texts: Iterable[ComparedText], tested: set[str], credits: Credits
) -> LeakFinding:
    """Papers with a tested user among the authors that are in another user's data."""
    named = [text for text in texts if text.id in credits]
    found = tuple(
        LeakCase(str(text), f"the papers by {name!r}")
        for text in named
        for name in credits[text.id]
        if name in tested and name != text.user
    )
    return LeakFinding(
        "records", "papers of another tested user", "author", len(named), True, found
    )


def count_leaks(findings: Iterable[LeakFinding]) -> int:
    """The number of cases that are leaks."""
    return sum(len(finding.cases) for finding in findings if finding.leak)


def pretraining_document(name: str, texts: tuple[str, ...]) -> ComparedText:
    """A document of a pre-training text, for `LeakAudit.in_documents`."""
    return ComparedText("pre-training", "document", "", name, texts, ngrams=ngram_hashes(texts))


def _compared_texts(
    users: Iterable[User], group: str, kind: str, fields: Sequence[str]
) -> Iterator[ComparedText]:
    role = "query" if kind == "queries" and group != "training" else "record"
    for user in users:
        entries: Sequence[Record | Query] = user.queries if kind == "queries" else user.history
        for entry in entries:
            written = entry.target if isinstance(entry, Record) else entry.reference
            texts = (*entry.fields.values(), *([written] if written else []))
            given = [entry.fields[name] for name in fields if name in entry.fields]
            key = _key(given or texts)  # a record without input is what was written
            yield ComparedText(group, role, user.id, entry.id, texts, key, ngram_hashes(texts))


def _key(values: Sequence[str]) -> int:
    content = "\0".join(" ".join(value.split()).casefold() for value in values)
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big")


def name_letters(name: str) -> str:
    """A name without case, spaces and signs; one with digits as it is, as most ids are.

    "Will Sullivan" and "willsullivan" are one person.
    """
    letters = "".join(filter(str.isalpha, name.casefold()))
    return letters if letters and not any(map(str.isdigit, name)) else name


def _same_user(text: ComparedText, other: ComparedText) -> bool:
    return (text.group, text.role, text.user) == (other.group, other.role, other.user)


def _worst(found: Iterable[LeakCase]) -> tuple[LeakCase, ...]:
    """Cases, those first of which most is found elsewhere."""
    return tuple(sorted(found, key=lambda case: (-(case.share or 0.0), case.what)))
