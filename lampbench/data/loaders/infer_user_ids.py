"""Users of files without user ids, inferred from the profile that their questions share."""

from collections import Counter

from lampbench.util.hashing import digest

SAME_USER = 0.5
"""Share of common records (Jaccard) from which on two profiles count as one user's.

A user's questions carry the same profile, or all the user's records except the one that is asked;
co-authors share single records.
"""


class ProfileMatcher:
    """Gives each profile a user id: the same one for the same, or nearly the same, records."""

    def __init__(self) -> None:
        self._exact: dict[str, str] = {}
        self._owners: dict[int, list[str]] = {}
        self._size: Counter[str] = Counter()

    def user_of(self, records: frozenset[int], query: str) -> str:
        """The user whose profile has these records; a query without a profile is a user alone.

        Args:
            records: digests of the profile's records.
            query: the query's id.

        Returns:
            An id made from the first profile seen of that user, or from the query's id.
        """
        if not records:
            return f"query-{query}"
        name = digest(sorted(records))
        if name not in self._exact:
            self._exact[name] = self._nearest(records) or f"profile-{name}"
            self._add(self._exact[name], records)
        return self._exact[name]

    def _nearest(self, records: frozenset[int]) -> str | None:
        common = Counter(user for record in records for user in self._owners.get(record, ()))
        for user, shared in common.most_common(1):
            if shared >= SAME_USER * (len(records) + self._size[user] - shared):
                return user
        return None

    def _add(self, user: str, records: frozenset[int]) -> None:
        for record in records:
            owners = self._owners.setdefault(record, [])
            if user not in owners:
                owners.append(user)
                self._size[user] += 1
