"""How users are chosen from a source: the options that all loaders share."""

from dataclasses import dataclass
from typing import Literal

from lampbench.util.errors import LampbenchError

SplitBy = Literal["user", "time"]

PAPER_USERS = 100
"""The paper's protocol: the 100 users with the longest histories are the test users."""

PARTS = ("train", "dev", "test")
_PART_NAMES = {"val": "dev", "valid": "dev", "validation": "dev", **{part: part for part in PARTS}}


@dataclass(frozen=True, slots=True)
class DataOptions:
    """Which users are tested, and which published split and parts are read.

    `users` is the number of test users; None takes the paper's 100 from a source that is not
    split yet (half of the users where there are no more than 100), and all test users of a source
    that is. `min_history` is the number of records that a test user must have. `seed` orders
    users with equally long histories. `split_by` chooses between the user- and the time-based split
    of LaMP and LongLaMP (None: LaMP user, LongLaMP time, or the only one that is there). `splits`
    restricts reading to `train`, `dev` or `test` of these sources (empty: all that have
    references); of our own layout, `dev` puts the users of dev.jsonl in the tested ones' place.

    Raises:
        LampbenchError: a number below 1, or an unknown split or part.
    """

    users: int | None = None
    min_history: int = 1
    seed: int = 0
    split_by: SplitBy | None = None
    splits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.users is not None and self.users < 1:
            raise LampbenchError(f"users is {self.users}: ask for at least 1 test user")
        if self.min_history < 1:
            raise LampbenchError(
                f"min_history is {self.min_history}: a test user needs at least 1 record"
            )
        if self.split_by not in (None, "user", "time"):
            raise LampbenchError(f"split_by is {self.split_by!r}: say user or time")
        object.__setattr__(self, "splits", tuple(part_name(part) for part in self.splits))


def part_name(name: str) -> str:
    """`train`, `dev` or `test` for a part's published name (`val`, `validation` are `dev`).

    Raises:
        LampbenchError: not a part.
    """
    if name not in _PART_NAMES:
        raise LampbenchError(f"no part is called {name!r}: say {', '.join(PARTS)}")
    return _PART_NAMES[name]
