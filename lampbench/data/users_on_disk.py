"""Many users without their texts in memory: they are kept in a temporary file."""

import marshal
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import overload

from lampbench.core.dataset import Query, Record, User
from lampbench.util.disk import writing

IN_MEMORY = 5_000
"""Users who are kept in memory, and read faster."""
_LENGTH = 8  # bytes before every user, which say how many follow


class UsersOnDisk(Sequence[User]):
    """Users in a temporary file, which is deleted with this object: 8 bytes of memory for each.

    A user is made anew whenever asked for, until `load` is called. Several threads may ask.
    """

    def __init__(self, file: "_File", places: "array[int]") -> None:
        self._file = file
        self._places = places
        self._loaded: tuple[User, ...] | None = None

    @classmethod
    def of(cls, users: Iterable[User]) -> "UsersOnDisk":
        """Write users to a new file.

        Raises:
            FullDisk: the disk of temporary files is full.
        """
        folder = Path(tempfile.gettempdir())
        with writing(folder):
            file = _File()
            places = array("Q", (file.add(user) for user in users))
            file.flush()
        return cls(file, places)

    def chosen(self, order: Iterable[int]) -> "UsersOnDisk":
        """Some of these users, by number, over the same file."""
        return UsersOnDisk(self._file, array("Q", (self._places[number] for number in order)))

    def load(self) -> tuple[User, ...]:
        """All users; from here on they are kept in memory, each one object."""
        if self._loaded is None:
            self._loaded = tuple(self)
        return self._loaded

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, number: int) -> User: ...
    @overload
    def __getitem__(self, number: slice) -> "UsersOnDisk": ...
    def __getitem__(self, number: int | slice) -> "User | UsersOnDisk":
        if isinstance(number, slice):
            return UsersOnDisk(self._file, self._places[number])
        if self._loaded is not None:
            return self._loaded[number]
        return self._file.user(self._places[number])

    def __iter__(self) -> Iterator[User]:
        if self._loaded is not None:
            return iter(self._loaded)
        return map(self._file.user, self._places)


class _File:
    """A temporary file of users that only this process sees."""

    def __init__(self) -> None:
        self._stream = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        weakref.finalize(self, self._stream.close)
        self._end = 0

    def add(self, user: User) -> int:
        """Append a user; where they are."""
        history = [(r.id, dict(r.fields), r.target, r.date) for r in user.history]
        queries = [(q.id, dict(q.fields), q.reference, q.date) for q in user.queries]
        content = marshal.dumps((user.id, history, queries, user.profile))
        place = self._end
        self._stream.write(len(content).to_bytes(_LENGTH, "little") + content)
        self._end += _LENGTH + len(content)
        return place

    def flush(self) -> None:
        """Make what was added readable."""
        self._stream.flush()

    def user(self, place: int) -> User:
        """The user at a place."""
        handle = self._stream.fileno()
        length = int.from_bytes(os.pread(handle, _LENGTH, place), "little")
        name, history, queries, profile = marshal.loads(os.pread(handle, length, place + _LENGTH))
        records = tuple(Record(*one) for one in history)
        return User(name, records, tuple(Query(*one) for one in queries), profile)


def held(users: Iterable[User]) -> Sequence[User]:
    """Users as a sequence: in memory where they are few, otherwise in a temporary file.

    Raises:
        FullDisk: the disk of temporary files is full.
    """
    rest = iter(users)
    first = list(islice(rest, IN_MEMORY))
    further = next(rest, None)
    if further is None:
        return tuple(first)
    return UsersOnDisk.of(chain(first, [further], rest))


def in_memory(users: Sequence[User]) -> Sequence[User]:
    """The users that are `held`, as objects that stay."""
    return users.load() if isinstance(users, UsersOnDisk) else users


def chosen(users: Sequence[User], order: Iterable[int]) -> Sequence[User]:
    """Some of the users that are `held`, by number."""
    if isinstance(users, UsersOnDisk):
        return users.chosen(order)
    return tuple(users[number] for number in order)
