"""Tables of any length: in files whose texts are bounded, read without being in memory as a whole.

A reader refuses a file whose text is longer than `gzip_text.LARGEST`. A longer table is in several
files: each is a table of its own with the same columns and the next rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count, groupby, takewhile
from operator import itemgetter
from typing import IO, Any

from lampbench.data.json_text import JsonText
from lampbench.record import gzip_text
from lampbench.record.columns import TableText, from_text, require_columns, row_texts, to_text
from lampbench.record.typed_json import brief
from lampbench.util.disk_list import BlocksFile, DiskList

PARSED_AT_ONCE = 2**23
"""Bytes of a text that is parsed at once, which is faster than value by value."""

Columns = Mapping[str, Sequence[Any]]
"""Equally long columns by name; those of a long text are on disk."""


def table_texts(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> Iterator[TableText]:
    """The text of a table, or of its rows in several tables; each must be used before the next.

    Every text but the last has as many rows as fit into `LARGEST` bytes. A row that is longer has a
    table of its own, which `write_compressed` refuses.

    Raises:
        FullDisk: the disk of temporary files is full.
        ValueError: a number is not finite.
    """
    table = None
    for _, numbered in groupby(_numbered(names, row_texts(rows)), itemgetter(0)):
        table = TableText(names, (row for _, row in numbered))
        yield table
    if table is None:
        yield TableText(names, ())


def _numbered(
    names: Sequence[str], rows: Iterable[list[bytes]]
) -> Iterator[tuple[int, list[bytes]]]:
    """Rows, each with the number of its table."""
    empty = len(to_text(dict.fromkeys(names, ())))
    number, length = 0, empty
    for row in rows:
        commas = len(row) if length > empty else 0
        longer = length + commas + sum(map(len, row))
        if longer > gzip_text.LARGEST and length > empty:
            number += 1
            longer = empty + sum(map(len, row))
        length = longer
        yield number, row


def read_columns(stream: IO[bytes]) -> Columns:
    """The columns of a table in a gzip file.

    Raises:
        ValueError: it is not one whole gzip file, its text is longer than `LARGEST` bytes or no
            JSON object of equally long lists, or a number in a short text is not finite.
        OSError: the file cannot be read.
        FullDisk: the disk of temporary files is full.
    """
    text = short_text(stream)
    if text is not None:
        return from_text(text)
    return _columns_on_disk(JsonText(_Blocks(gzip_text.text_blocks(stream))))


def short_text(stream: IO[bytes]) -> bytes | None:
    """The text of a gzip file that is short enough to be parsed at once; None of a longer one.

    Raises:
        ValueError: it is not one whole gzip file, or its text is longer than `LARGEST` bytes.
        OSError: the file cannot be read.
    """
    if gzip_text.claimed_length(stream) > PARSED_AT_ONCE:
        return None
    return b"".join(gzip_text.text_blocks(stream))


def rows_of(columns: Columns) -> Iterator[dict[str, Any]]:
    """The rows of a table, each with the names of its columns."""
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Name the file in a ValueError about its content."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _columns_on_disk(text: JsonText) -> Columns:
    columns: dict[str, DiskList[Any]] = {}
    file = BlocksFile()
    for name, number, value in text.members():
        if number is None:
            raise ValueError("not an object of lists")
        if number == 1:
            if name in columns:
                raise ValueError(f"column {brief(name)} is there twice")
            columns[name] = DiskList(file=file)
        columns[name].append(value)
    if text.next_character():
        raise ValueError("something follows the object")
    return require_columns(columns)


class _Blocks:
    """Blocks of bytes, to be read one at a time."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = filter(None, blocks)

    def read(self, _: int) -> bytes:
        """The next block; empty at the end."""
        return next(self._blocks, b"")


def part_name(table: str, number: int) -> str:
    """The name of a table's file: the first has the table's own, the others have numbers."""
    return table if number == 1 else table.replace(".", f"-{number}.", 1)


def part_names(files: Mapping[str, str], table: str) -> list[str]:
    """The files of a run's table, in order."""
    names: Iterator[str] = (part_name(table, number) for number in count(1))
    return list(takewhile(files.__contains__, names))
