"""The paper's protocol: the users with the longest histories are tested, all others train.

Equally long histories are ordered by a digest of the seed and the user id, so that neither the
order of the file nor the spelling of the ids decides; the choice of n users is part of the choice
of n + 1.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice

from lampbench.core.dataset import User
from lampbench.data.options import PAPER_TEST_USERS, DataOptions
from lampbench.data.users_on_disk import chosen
from lampbench.util.disk_list import DiskList
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from
from lampbench.util.temporary_table import as_bytes, in_one_line, temporary_table


def longest_histories_first(lengths: Mapping[str, int], options: DataOptions) -> list[str]:
    """Users with at least `min_history` records, the longest history first."""
    eligible = [name for name, length in lengths.items() if length >= options.min_history]
    return sorted(eligible, key=lambda name: (-lengths[name], seed_from(options.seed, name), name))


def choose_test_users(
    lengths: Mapping[str, int], options: DataOptions, where: str
) -> tuple[list[str], list[str]]:
    """The test users of a source that does not name them, and notes on the choice.

    Args:
        lengths: history length of every user, in records.
        options: `users`, `min_history` and `seed`.
        where: the source's name, for errors.

    Raises:
        LampbenchError: no users, fewer than requested, or none left to train the task adapter.
    """
    if not lengths:
        raise LampbenchError(f"{where}: has no users with queries; give the complete files")
    order = longest_histories_first(lengths, options)
    needed = _at_least(options.min_history)
    if not order:
        raise LampbenchError(
            f"{where}: none of {len(lengths)} users has {needed}; lower --min-history"
        )
    wanted, notes = options.users, []
    if wanted is None:
        wanted = PAPER_TEST_USERS
        if len(lengths) <= PAPER_TEST_USERS:
            wanted = min(len(order), len(lengths) // 2)
            notes = [
                f"{wanted} of {len(lengths)} users are tested "
                f"(the paper tests {PAPER_TEST_USERS}; --users sets the number)"
            ]
        elif len(order) < PAPER_TEST_USERS:
            wanted = len(order)
            notes = [
                f"only {wanted} users have {needed}; all of them are tested "
                f"(the paper tests {PAPER_TEST_USERS})"
            ]
    if wanted > len(order):
        raise LampbenchError(_too_few(where, wanted, len(order), len(lengths), options))
    if wanted in (0, len(lengths)):
        fix = "lower --users" if len(lengths) > 1 else "give data of at least two users"
        raise LampbenchError(
            f"{where}: {wanted} of {len(lengths)} users tested leaves {len(lengths) - wanted} to "
            f"train the task adapter, and both need at least one; {fix}"
        )
    return order[:wanted], notes


def limit_test_users(
    users: Sequence[User], options: DataOptions, where: str
) -> tuple[Sequence[User], list[str]]:
    """Of the test users that a source names, the `users` with the longest histories; and notes.

    Raises:
        LampbenchError: no users, or fewer than requested.
    """
    if not users:
        raise LampbenchError(f"{where}: has no test users; give the complete files")
    order = _longest_first_on_disk(users, options)
    removed = len(users) - len(order)
    notes = [f"test users with fewer than {options.min_history} records, removed: {removed}"]
    wanted = len(order) if options.users is None else options.users
    if wanted > len(order) or not order:
        raise LampbenchError(_too_few(where, max(wanted, 1), len(order), len(users), options))
    found = chosen(users, islice(order, wanted))
    return found, notes if removed else []


def _longest_first_on_disk(users: Sequence[User], options: DataOptions) -> DiskList[int]:
    """Places of users, in the order of `longest_histories_first`."""
    columns = "records INTEGER, seed INTEGER, id BLOB, place INTEGER"
    rows = (
        (len(user.history), seed_from(options.seed, user.id), as_bytes(user.id), place)
        for place, user in enumerate(users)
        if len(user.history) >= options.min_history
    )
    with in_one_line(), closing(temporary_table(columns)) as table:
        table.execute("BEGIN")
        table.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows)
        order = table.execute("SELECT place FROM rows ORDER BY records DESC, seed, id")
        return DiskList(place for (place,) in order)


def _at_least(records: int) -> str:
    return f"at least {records} history record{'s' if records > 1 else ''}"


def _too_few(where: str, wanted: int, found: int, total: int, options: DataOptions) -> str:
    fixes = [*(["--users"] if found else []), *(["--min-history"] if found < total else [])]
    return (
        f"{where}: {wanted} test users requested, but only {found} of {total} users have "
        f"{_at_least(options.min_history)}; lower {' or '.join(fixes)}"
    )
