"""A list that does not have to fit into memory."""

import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Generic, TypeVar, overload

from lampbench.util.disk import close_with, writing

T = TypeVar("T")

FEW = 5_000
"""Items that are kept in memory, and read faster."""
_TOGETHER = 1_000  # items that are written or read at once


class DiskList(Sequence[T]):
    """Items in a temporary file, which is deleted with this object.

    Made to be filled once and read from its beginning. The last thousand items and those that are
    being read are in memory; fewer never reach the disk. Slices with a step of one are views,
    others are lists. Several threads may read, once it is filled.

    Args:
        items: what it has at the beginning.
        plain: makes of an item what is pickled; by default it is pickled as it is.
        made: makes the item again.
        file: where several lists are kept, so that not each of them needs an open file.
    """

    def __init__(
        self,
        items: Iterable[T] = (),
        plain: Callable[[T], Any] | None = None,
        made: Callable[[Any], T] | None = None,
        file: "BlocksFile | None" = None,
    ) -> None:
        self._stored: _Stored[T] = _Stored(plain, made, file or BlocksFile())
        self._chosen: range | None = None
        self.extend(items)

    def append(self, item: T) -> None:
        """Add an item at the end.

        Raises:
            FullDisk: the disk of temporary files is full.
        """
        if self._chosen is not None:
            raise TypeError("a slice cannot be appended to")
        self._stored.add(item)

    def extend(self, items: Iterable[T]) -> None:
        """Add items at the end.

        Raises:
            FullDisk: the disk of temporary files is full.
        """
        for item in items:
            self.append(item)

    def __len__(self) -> int:
        return len(self._places())

    def _places(self) -> range:
        return range(self._stored.count) if self._chosen is None else self._chosen

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        if isinstance(place, int):
            return next(self._stored.read(self._places()[place]))
        places = self._places()[place]
        if places.step != 1:
            return [next(self._stored.read(number)) for number in places]
        view: DiskList[T] = DiskList()
        view._stored, view._chosen = self._stored, places
        return view

    def __iter__(self) -> Iterator[T]:
        places = self._places()
        return islice(self._stored.read(places.start), len(places))


def listed(items: Iterable[T], file: "BlocksFile | None" = None) -> Sequence[T]:
    """Items as a list where they are few, otherwise as a `DiskList` (in a file with others).

    Raises:
        FullDisk: the disk of temporary files is full.
    """
    rest = iter(items)
    first = list(islice(rest, FEW + 1))
    return first if len(first) <= FEW else DiskList(chain(first, rest), file=file)


class BlocksFile:
    """A temporary file of blocks, which is deleted with this object; made for the first block."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0

    def add(self, block: bytes) -> int:
        """Write a block; where it begins.

        Raises:
            FullDisk: the disk of temporary files is full.
        """
        with writing(Path(tempfile.gettempdir())):
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
                close_with(self, self._file)
            self._file.write(block)
            self._file.flush()
        self._end += len(block)
        return self._end - len(block)

    def read(self, begin: int, length: int) -> bytes:
        """A block."""
        assert self._file is not None
        return os.pread(self._file.fileno(), length, begin)


class _Stored(Generic[T]):
    """Items in blocks: all but the last one are in a file."""

    def __init__(
        self,
        plain: Callable[[T], Any] | None,
        made: Callable[[Any], T] | None,
        file: BlocksFile,
    ) -> None:
        self._plain, self._made, self._file = plain, made, file
        self._blocks: list[tuple[int, int]] = []  # where each begins, and its length
        self._last: list[T] = []

    @property
    def count(self) -> int:
        return len(self._blocks) * _TOGETHER + len(self._last)

    def add(self, item: T) -> None:
        self._last.append(item)
        if len(self._last) == _TOGETHER:
            self._write()

    def _write(self) -> None:
        items = self._last if self._plain is None else list(map(self._plain, self._last))
        content = pickle.dumps(items, pickle.HIGHEST_PROTOCOL)
        self._blocks.append((self._file.add(content), len(content)))
        self._last = []

    def read(self, number: int) -> Iterator[T]:
        """The items from one on."""
        first, within = divmod(number, _TOGETHER)
        blocks = map(self._block, range(first, len(self._blocks) + 1))
        return islice(chain.from_iterable(blocks), within, None)

    def _block(self, number: int) -> Sequence[T]:
        if number == len(self._blocks):
            return self._last
        items = pickle.loads(self._file.read(*self._blocks[number]))
        return items if self._made is None else list(map(self._made, items))
