"""The paper's protocol: the users with the longest histories are tested, all others train.

Equally long histories are ordered by a digest of the seed and the user id, so that neither the
order of the file nor the spelling of the ids decides; `users=n` is a prefix of `users=n+1`.
"""

from collections.abc import Mapping, Sequence

from lampbench.core.dataset import User
from lampbench.data.options import PAPER_USERS, DataOptions
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from


def ranked(lengths: Mapping[str, int], options: DataOptions) -> list[str]:
    """Users with at least `min_history` records, the longest history first."""
    able = [name for name, length in lengths.items() if length >= options.min_history]
    return sorted(able, key=lambda name: (-lengths[name], seed_from(options.seed, name), name))


def choose(
    lengths: Mapping[str, int], options: DataOptions, place: str
) -> tuple[list[str], list[str]]:
    """The test users of a source that is not split yet, and notes on the choice.

    Args:
        lengths: history length of every user.
        options: `users`, `min_history` and `seed`.
        place: the source's name for errors.

    Raises:
        LampbenchError: fewer users than asked for, or nobody left to train the task adapter.
    """
    order = ranked(lengths, options)
    needed = f"at least {options.min_history} history record(s)"
    if not order:
        raise LampbenchError(f"{place}: none of {len(lengths)} users has {needed}")
    wanted, notes = options.users, []
    if wanted is None:
        wanted = PAPER_USERS
        if len(lengths) <= PAPER_USERS:
            wanted = min(len(order), len(lengths) // 2)
            notes = [
                f"of {len(lengths)} users {wanted} are tested "
                f"(the paper tests {PAPER_USERS}; --users says otherwise)"
            ]
        elif len(order) < PAPER_USERS:
            wanted = len(order)
            notes = [f"{wanted} users have {needed}: these are tested (the paper tests 100)"]
    if wanted > len(order):
        raise LampbenchError(
            f"{place}: {wanted} test users asked for, {len(order)} of {len(lengths)} users have "
            f"{needed}; ask for fewer (--users) or shorter histories (--min-history)"
        )
    if wanted in (0, len(lengths)):
        raise LampbenchError(
            f"{place}: of {len(lengths)} user(s), {wanted} to test leave "
            f"{len(lengths) - wanted} to train the task adapter; both need at least one"
        )
    return order[:wanted], notes


def trim(
    users: Sequence[User], options: DataOptions, place: str
) -> tuple[tuple[User, ...], list[str]]:
    """The test users of a source that is split already: the `users` with the longest histories.

    Raises:
        LampbenchError: fewer users than asked for.
    """
    order = ranked({user.id: len(user.history) for user in users}, options)
    short = len(users) - len(order)
    notes = [f"test users with fewer than {options.min_history} records, left out: {short}"]
    wanted = len(order) if options.users is None else options.users
    if wanted > len(order) or not order:
        raise LampbenchError(
            f"{place}: {max(wanted, 1)} test users asked for, {len(order)} of {len(users)} have at "
            f"least {options.min_history} history record(s); ask for fewer (--users)"
        )
    by_id = {user.id: user for user in users}
    return tuple(by_id[name] for name in order[:wanted]), notes if short else []
