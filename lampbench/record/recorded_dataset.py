"""What manifests say of the data of a run, and which files have its queries and past texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lampbench.core.findings import leaks_first
from lampbench.data.dataset_statistics import MeanAndSd
from lampbench.util.errors import short_repr

_SHARED_NAME = re.compile(r"[0-9a-f]{16}\.(queries|histories)\.json\.gz")

OF_LONG_TABLES = ("more_queries_files", "more_histories_files")
"""Fields of datasets that only manifests of long tables have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOptions:
    """How to read a dataset again: the value of `--data`, and the fields of `DataOptions`."""

    data: str
    users: int | None
    min_history: int
    seed: int
    split_by: str | None
    splits: tuple[str, ...]
    max_history: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatistics:
    """A row of the paper's Table 4: how many training queries, and the lengths in `unit`s.

    `train_*` are the queries of the users who train the task adapter. `profile` counts the
    records of each test user; `profile_in` and `profile_out` are lengths over all these records.
    """

    unit: str
    train: int
    train_in: MeanAndSd
    train_out: MeanAndSd
    profile: MeanAndSd
    profile_in: MeanAndSd
    profile_out: MeanAndSd


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A file that runs on the same data share, beside their folders.

    `sha256` is the digest of the uncompressed content, because another machine may compress the
    same content into other bytes.

    Raises:
        ValueError: the name is none that this room gives, such as a path to another folder.
    """

    name: str
    sha256: str

    def __post_init__(self) -> None:
        if not _SHARED_NAME.fullmatch(self.name):
            raise ValueError("name must be that of a file of queries or histories")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDataset:
    """A dataset as manifests describe it.

    `fingerprint` identifies the whole content, `query_fingerprint` the test queries and their
    references; both are as in `Dataset`. `notes` are findings of the loader and of its checks.
    `options` is None for a dataset that was made in Python and not read from `--data`.
    `cut_from` is the fingerprint of the same data with whole histories, where these were cut
    (`--max-history`).
    `removed_users` counts users who were removed from the run on request after it was recorded:
    their queries, answers and scores are gone; fingerprints and `statistics` are those of before.
    `more_queries_files` and `more_histories_files` have, in order, what is too long for one file;
    where they are empty, manifests leave them out.
    """

    source: str
    options: DatasetOptions | None
    fingerprint: str
    query_fingerprint: str
    synthetic: bool
    train_users: int
    test_users: int
    queries: int
    notes: tuple[str, ...]
    statistics: DatasetStatistics
    queries_file: SharedFile
    histories_file: SharedFile
    removed_users: int = 0
    cut_from: str | None = None
    more_queries_files: tuple[SharedFile, ...] = ()
    more_histories_files: tuple[SharedFile, ...] = ()

    @property
    def queries_files(self) -> tuple[SharedFile, ...]:
        """The files that hold the test queries, in order."""
        return (self.queries_file, *self.more_queries_files)

    @property
    def histories_files(self) -> tuple[SharedFile, ...]:
        """The files that hold the beginnings of past texts, in order."""
        return (self.histories_file, *self.more_histories_files)

    def with_files(
        self, queries: Sequence[SharedFile], histories: Sequence[SharedFile]
    ) -> "RecordedDataset":
        """The same with other files, at least one of each."""
        return replace(
            self,
            queries_file=queries[0],
            histories_file=histories[0],
            more_queries_files=tuple(queries[1:]),
            more_histories_files=tuple(histories[1:]),
        )

    @property
    def max_history(self) -> int | None:
        """To how many records histories were cut; None where they are whole."""
        return self.options.max_history if self.options else None

    @property
    def findings(self) -> tuple[str, ...]:
        """What a reader of the scores must know: the notes, leaks first, and removed users."""
        removed = [f"users removed on request: {self.removed_users}"] if self.removed_users else []
        return (*leaks_first(self.notes), *removed)


def names_user(note: str, user: str) -> bool:
    """Whether a note of a loader, which quotes ids and shortens long ones, names a user."""
    return repr(user) in note or short_repr(user) in note
