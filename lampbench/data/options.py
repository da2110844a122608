"""The options that all loaders share: which users are tested, which published splits are read."""

from dataclasses import dataclass
from typing import Literal

from lampbench.util.errors import LampbenchError

SplitBy = Literal["user", "time"]

PAPER_TEST_USERS = 100
"""The paper tests the 100 users with the longest histories."""

SPLITS = ("train", "dev", "test")
_SPLIT_NAMES = {
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    **{name: name for name in SPLITS},
}


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which users are tested, and which published splits are read.

    Attributes:
        users: number of test users. None: the paper's 100 if the source does not name test users
            (half of its users if it has at most 100), all test users if it does.
        min_history: number of records that a test user must have at least.
        max_history: number of records, the most recent ones, that test users keep; users are chosen
            by their whole histories. None: all records.
        seed: orders users with equally long histories.
        split_by: which published way of splitting LaMP and LongLaMP to read. None: LaMP by user,
            LongLaMP by time, or the only one that is there.
        splits: the splits of LaMP and LongLaMP to read, of `train`, `dev` and `test`. Empty: all
            that have references. In bundled data and `lampbench:DIR`, `("dev",)` replaces the
            test users with those of dev.jsonl.

    Raises:
        LampbenchError: a number below 1, or an unknown value of `split_by` or `splits`.
    """

    users: int | None = None
    min_history: int = 1
    seed: int = 0
    split_by: SplitBy | None = None
    splits: tuple[str, ...] = ()
    max_history: int | None = None

    def __post_init__(self) -> None:
        if self.users is not None and self.users < 1:
            raise LampbenchError(f"users is {self.users}; ask for at least 1 test user")
        if self.min_history < 1:
            raise LampbenchError(
                f"min_history is {self.min_history}; a test user needs at least 1 record"
            )
        if self.max_history is not None and self.max_history < 1:
            raise LampbenchError(
                f"max_history is {self.max_history}; keep at least 1 record of a test user"
            )
        if self.split_by not in (None, "user", "time"):
            raise LampbenchError(f"split_by is {self.split_by!r}; use 'user' or 'time'")
        object.__setattr__(self, "splits", tuple(split_name(name) for name in self.splits))


def split_name(published: str) -> str:
    """`train`, `dev` or `test` for a split's published name (`val` and `validation` are `dev`).

    Raises:
        LampbenchError: not the name of a split.
    """
    if published not in _SPLIT_NAMES:
        raise LampbenchError(f"no split is called {published!r}; use {', '.join(SPLITS)}")
    return _SPLIT_NAMES[published]
