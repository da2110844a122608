"""Values by key out of a stream, asked for in about the order in which they come."""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class OrderedLookup(Generic[K, V]):
    """Each value can be taken once. Those that were passed over are in memory, few where both
    orders are nearly the same.
    """

    def __init__(self, pairs: Iterable[tuple[K, V]]) -> None:
        self._rest = iter(pairs)
        self._passed: dict[K, V] = {}

    def take(self, key: K) -> V:
        """The value of a key.

        Raises:
            KeyError: the stream has no such key, or not as often.
        """
        if key in self._passed:
            return self._passed.pop(key)
        for found, value in self._rest:
            if found == key:
                return value
            self._passed[found] = value
        raise KeyError(key)
