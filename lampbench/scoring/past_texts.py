"""What users wrote before, for the metrics that compare an answer with it."""

from collections.abc import Iterator, Mapping, Sequence

from lampbench.core.dataset import Dataset, User

Histories = Mapping[str, tuple[str, ...]]
"""Texts by user id, in the order of the user's records."""


def histories(dataset: Dataset) -> Histories:
    """What each test user wrote before: the targets of their records, in order."""
    return {user.id: _texts(user) for user in dataset.test_users}


class HistoriesInOrder(Mapping[str, tuple[str, ...]]):
    """As `histories`, of which one is in memory: quick for who asks in the order of the users."""

    def __init__(self, users: Sequence[User]) -> None:
        self._users = users
        self._rest = iter(users)
        self._last: User | None = None

    def __getitem__(self, user: str) -> tuple[str, ...]:
        if self._last is None or self._last.id != user:
            self._last = self._found(user)
        if self._last is None:
            raise KeyError(user)
        return _texts(self._last)

    def _found(self, name: str) -> User | None:
        """A user from those behind the last one, or else from all."""
        for _ in range(2):
            for user in self._rest:
                if user.id == name:
                    return user
            self._rest = iter(self._users)
        return None

    def __iter__(self) -> Iterator[str]:
        return (user.id for user in self._users)

    def __len__(self) -> int:
        return len(self._users)


def _texts(user: User) -> tuple[str, ...]:
    return tuple(record.target for record in user.history)
