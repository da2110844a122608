"""Users of files without user ids, inferred from the profile that their questions share."""

import numpy as np
from numpy.typing import NDArray

from lampbench.util.hashing import digest

Digests = NDArray[np.uint64]
"""Digests of records, sorted, each once."""

SAME_USER = 0.5
"""Share of common records (Jaccard) from which on two profiles count as one user's.

A user's questions carry the same profile, or all the user's records except the one that is asked;
co-authors share single records.
"""


class ProfileMatcher:
    """Gives each profile a user id: the same one for the same, or nearly the same, records.

    Keeps 12 bytes per record of a user, and an id per profile.
    """

    def __init__(self) -> None:
        self._exact: dict[str, int] = {}
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._owners = _Owners()

    def user_of(self, records: Digests, query: str) -> str:
        """The user whose profile has these records; a query without a profile is a user alone.

        Args:
            records: digests of the profile's records.
            query: the query's id.

        Returns:
            An id made from the first profile seen of that user, or from the query's id.
        """
        if not len(records):
            return f"query-{query}"
        name = digest(records.tolist())
        if name not in self._exact:
            self._exact[name] = self._nearest(records, name)
        return self._names[self._exact[name]]

    def _nearest(self, records: Digests, name: str) -> int:
        """The user with most of these records, if they are enough; else a new one."""
        places, users = self._owners.of(records)
        found, shared = np.unique(users, return_counts=True)
        if len(found):
            user, most = int(found[shared.argmax()]), int(shared.max())
            if most >= SAME_USER * (len(records) + self._sizes[user] - most):
                self._add(user, np.delete(records, places[users == user]))
                return user
        self._names.append(f"profile-{name}")
        self._sizes.append(0)
        self._add(len(self._names) - 1, records)
        return len(self._names) - 1

    def _add(self, user: int, records: Digests) -> None:
        self._sizes[user] += len(records)
        self._owners.add(records, user)


class _Owners:
    """Which users have a record, in sorted blocks of which each is at most half of the one before.

    A block is merged into the one before when it has grown, so that there are few of them.
    """

    def __init__(self) -> None:
        self._blocks: list[tuple[Digests, NDArray[np.int32]]] = []

    def add(self, records: Digests, user: int) -> None:
        """Note that a user has these records."""
        block = records, np.full(len(records), user, np.int32)
        while self._blocks and 2 * len(block[0]) > len(self._blocks[-1][0]):
            last = self._blocks.pop()
            keys = np.concatenate([last[0], block[0]])
            order = keys.argsort(kind="stable")
            block = keys[order], np.concatenate([last[1], block[1]])[order]
        self._blocks.append(block)

    def of(self, records: Digests) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """For each owner of each record the record's place in `records`, and the owner."""
        places = [np.zeros(0, np.intp)]
        users = [np.zeros(0, np.int32)]
        for keys, owners in self._blocks:
            first = keys.searchsorted(records, "left")
            counts = keys.searchsorted(records, "right") - first
            for place in counts.nonzero()[0]:
                span = slice(first[place], first[place] + counts[place])
                places.append(np.full(counts[place], place))
                users.append(owners[span])
        return np.concatenate(places), np.concatenate(users)
