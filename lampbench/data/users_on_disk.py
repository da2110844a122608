"""Many users without their texts in memory: they are kept in a temporary file."""

import marshal
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, overload

from lampbench.core.dataset import Query, Record, User
from lampbench.util.disk import close_with, writing

IN_MEMORY = 5_000
"""Users who are kept in memory, and read faster."""
_LENGTH = 8  # bytes of a number: before every user, how many follow


class UsersOnDisk(Sequence[User]):
    """Users in temporary files, which are deleted with this object: no memory for each of them.

    A user is made anew whenever asked for, until `load` is called. Several threads may ask.
    """

    def __init__(self, file: "_File", places: "_Places", numbers: range) -> None:
        self._file = file
        self._places = places
        self._numbers = numbers
        self._loaded: tuple[User, ...] | None = None

    @classmethod
    def of(cls, users: Iterable[User]) -> "UsersOnDisk":
        """Write users to a new file.

        Raises:
            FullDisk: the disk of temporary files is full.
        """
        with writing(Path(tempfile.gettempdir())):
            file = _File()
            places = _Places(file.add(user) for user in users)
            file.flush()
        return cls(file, places, range(len(places)))

    def chosen(self, order: Iterable[int]) -> "UsersOnDisk":
        """Some of these users, by number, over the same file.

        Raises:
            FullDisk: the disk of temporary files is full.
        """
        with writing(Path(tempfile.gettempdir())):
            places = _Places(self._places[self._numbers[number]] for number in order)
        return UsersOnDisk(self._file, places, range(len(places)))

    def load(self) -> tuple[User, ...]:
        """All users; from here on they are kept in memory, each one object."""
        if self._loaded is None:
            self._loaded = tuple(self)
        return self._loaded

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, number: int) -> User: ...
    @overload
    def __getitem__(self, number: slice) -> "UsersOnDisk": ...
    def __getitem__(self, number: int | slice) -> "User | UsersOnDisk":
        if isinstance(number, slice):
            return UsersOnDisk(self._file, self._places, self._numbers[number])
        if self._loaded is not None:
            return self._loaded[number]
        return self._file.user(self._places[self._numbers[number]])

    def __iter__(self) -> Iterator[User]:
        if self._loaded is not None:
            return iter(self._loaded)
        return (self._file.user(self._places[number]) for number in self._numbers)


class _Places:
    """Where users are in their file: whole numbers in a temporary file of their own."""

    def __init__(self, places: Iterable[int]) -> None:
        self._stream = _temporary_file(self)
        self._count = 0
        for self._count, place in enumerate(places, start=1):
            self._stream.write(place.to_bytes(_LENGTH, "little"))
        self._stream.flush()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> int:
        found = os.pread(self._stream.fileno(), _LENGTH, number * _LENGTH)
        return int.from_bytes(found, "little")


class _File:
    """A temporary file of users that only this process sees."""

    def __init__(self) -> None:
        self._stream = _temporary_file(self)
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


def _temporary_file(owner: object) -> IO[bytes]:
    """A file that is closed, and so deleted, with its owner."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115
    close_with(owner, stream)
    return stream


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
