"""A shard: the part of a run's users that one process works on."""

import re
from dataclasses import dataclass

from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest
from lampbench.util.terminal import message_line

MOST_SHARDS = 100_000


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts of the users, from 0; which users it has depends on their ids alone."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def __contains__(self, user: str) -> bool:
        """Whether the user with this id belongs to it."""
        return shard_index(user, self.count) == self.index


ALL_USERS = Shard(0, 1)
"""All users."""


def shard_index(user: str, count: int) -> int:
    """Which of `count` shards a user belongs to: the same in every process and version."""
    return int(digest(user), 16) % count


def parse_shard(text: str) -> Shard:
    """The shard that `i/N` names.

    Raises:
        LampbenchError: it is not of this form, or i is not from 0 to N - 1.
    """
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(text))
    index, count = map(int, found.groups()) if found else (0, 0)
    if not index < count <= MOST_SHARDS:
        raise LampbenchError(
            f"--shard {message_line(str(text), 60)}: write i/N with i from 0 to N - 1, such as 0/4 "
            "for the first of four"
        )
    return Shard(index, count)
