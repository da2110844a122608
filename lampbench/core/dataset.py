"""What a dataset consists of: records, queries, users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from lampbench.util.hashing import digest, digest_of_list


@dataclass(frozen=True, slots=True)
class Record:
    """One past item of a user: the task's input fields and what the user wrote for them."""

    id: str
    fields: Mapping[str, str]
    target: str
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One input to be answered in the user's voice; `reference` is what the user really wrote.

    `reference` is None where a benchmark withholds it (LaMP's test split): such queries can be
    answered but not scored.
    """

    id: str
    fields: Mapping[str, str]
    reference: str | None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person: an id, the history to personalize from, and the queries to answer.

    `profile` is a ready-made description of the user where the source brings one
    (`profile_user_100.json` of the OPPU files).
    """

    id: str
    history: tuple[Record, ...]
    queries: tuple[Query, ...]
    profile: str | None = None
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """Digest of the history (and profile), all that a per-user artifact may depend on.

        Computed once.
        """
        if not self._fingerprint:
            records = [[r.id, dict(r.fields), r.target] for r in self.history]
            found = digest([self.id, self.profile, records])
            object.__setattr__(self, "_fingerprint", found)
        return self._fingerprint


@dataclass(frozen=True)
class Dataset:
    """A task's users: those who are tested, apart from those who train the task adapter.

    Where there are many test users they are on disk: iterate over them, and keep few.

    `source` says where it was read from (shown in manifests); `synthetic` is true where no real
    person wrote the targets, and follows every number made from it. `notes` are findings of the
    loader that a reader of the results should see (duplicates dropped, dates missing, ...).
    `asked` is what it was read by: the `--data` value and the options. `cut_from` is the
    fingerprint of the dataset with whole histories, where they were cut to the most recent records.
    `licence`, `attribution` and `description` are the source's own words, where it has any.
    """

    task: str
    source: str
    train_users: tuple[User, ...]
    test_users: Sequence[User]
    synthetic: bool = False
    notes: tuple[str, ...] = field(default=())
    licence: str = ""
    attribution: str = ""
    description: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict, compare=False)
    cut_from: str = ""

    @property
    def max_history(self) -> int | None:
        """To how many records histories were cut; None where they are whole."""
        return self.asked.get("max_history")

    @cached_property
    def train_fingerprint(self) -> str:
        """Digest of the queries of the task-training users: all that the task adapter sees."""
        return digest_of_list(
            [u.id, [[q.id, dict(q.fields), q.reference] for q in u.queries]]
            for u in self.train_users
        )

    @cached_property
    def query_fingerprint(self) -> str:
        """Digest of the test queries and references; two runs are comparable when it is equal."""
        return digest_of_list(
            [u.id, [[q.id, dict(q.fields), q.reference] for q in u.queries]]
            for u in self.test_users
        )

    @cached_property
    def train_histories_fingerprint(self) -> str:
        """Digest of the histories of the task-training users, for prompts that quote them."""
        return digest([user.fingerprint for user in self.train_users])

    @cached_property
    def dates_fingerprint(self) -> str:
        """Digest of all dates, which no built-in reads but through the order of records."""
        users = chain(self.train_users, self.test_users)
        return digest_of_list([user.id, dates_of(user)] for user in users)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of what a built-in method may see, but for the training users' histories.

        What it leaves out, dates and these histories, has fingerprints of its own and is in the
        keys of whatever may see it.
        """
        histories = (user.fingerprint for user in self.test_users)
        parts = [self.task, self.train_fingerprint, self.query_fingerprint, histories]
        return digest_of_list(parts)


def dates_of(user: User) -> list[list[str | None]]:
    """The dates of a user's records and queries."""
    return [[one.date for one in items] for items in (user.history, user.queries)]
