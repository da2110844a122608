"""Tables as gzipped JSON, a list for each column.

`pandas.DataFrame(json.load(gzip.open("scores.json.gz")))` reads such a file. Of the forms that
were measured on 286 runs (JSON lines or columns with gzip or xz, Parquet with zstd), columns with
gzip read fastest and need no library; only xz is smaller, by 15%, and takes fifteen times as long
to write.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeVar

from lampbench.data.json_text import JsonText
from lampbench.record.gzip_text import BLOCK, digest_of_blocks, even_blocks
from lampbench.record.typed_json import loads
from lampbench.util.disk import close_with, writing

T = TypeVar("T", bound=Sequence[Any])

_ROWS = 1_000  # that are made text at a time
_Column = tempfile.SpooledTemporaryFile
_CHUNK = 2**16  # bytes of a text that are parsed at a time
_IN_MEMORY = 2**16  # bytes of a column before it is put into a file


def encode_text(text: str) -> bytes:
    r"""JSON text as UTF-8.

    A model may emit half a surrogate pair, which UTF-8 cannot hold: such a character becomes a
    \uXXXX escape, which inside a JSON string means the same.
    """
    return text.encode("utf-8", "backslashreplace")


def to_text(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """A table as JSON.

    Raises:
        ValueError: a number is not finite.
    """
    return b"".join(TableText.of(columns).blocks())


def row_texts(rows: Iterable[Iterable[Any]]) -> Iterator[list[bytes]]:
    """Rows with the JSON text of each value in its place.

    Raises:
        ValueError: a number is not finite.
    """
    return ([encode_text(_json(value)) for value in row] for row in rows)


class TableText:
    """The JSON text of a table, in temporary files where it is long.

    Of the rows, which are given as `row_texts`, a thousand at a time are in memory.

    Raises:
        FullDisk: the disk of temporary files is full.
        ValueError: a number is not finite.
    """

    def __init__(self, names: Sequence[str], rows: Iterable[Sequence[bytes]]) -> None:
        self._names = list(names)
        self._columns = [_Column(_IN_MEMORY) for _ in names]
        for column in self._columns:
            close_with(self, column)
        rest = iter(rows)
        with writing(Path(tempfile.gettempdir())):
            while some := list(islice(rest, _ROWS)):
                for column, values in zip(self._columns, zip(*some, strict=True), strict=True):
                    comma = b"," if column.tell() else b""
                    column.write(comma + b",".join(values))

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[Any]]) -> "TableText":
        """The text of columns."""
        return cls(list(columns), row_texts(zip(*columns.values(), strict=True)))

    def blocks(self) -> Iterator[bytes]:
        """The text, `BLOCK` bytes at a time and the rest."""
        return even_blocks(self._parts())

    def sha256(self) -> str:
        """The digest of the text."""
        return digest_of_blocks(self.blocks())

    def _parts(self) -> Iterator[bytes]:
        opening = b"{"
        for name, column in zip(self._names, self._columns, strict=True):
            yield opening + encode_text(_json(name)) + b":["
            column.seek(0)
            yield from iter(lambda: column.read(BLOCK), b"")  # noqa: B023 (read in this turn)
            opening = b"],"
        yield b"]}\n" if self._names else b"{}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def column_values(stream: IO[bytes], name: str) -> Iterator[Any]:
    """The values of one column of a table's text, of which few at a time are in memory.

    Raises:
        ValueError: it is no table. A column that is not there has no values.
    """
    found = False
    for column, number, value in JsonText(stream, _CHUNK).members():
        if column == name:
            if number is None:
                raise ValueError(f"{name} is not a list")
            found = True
            yield value
        elif found:
            return


def from_text(text: bytes) -> dict[str, list[Any]]:
    """The columns of a table.

    Raises:
        ValueError: it is no JSON object of equally long lists, or a number is not finite.
    """
    columns = loads(text)
    if not isinstance(columns, dict) or not all(isinstance(c, list) for c in columns.values()):
        raise ValueError("not an object of lists")
    return require_columns(columns)


def require_columns(columns: dict[str, T]) -> dict[str, T]:
    """The columns, if all are equally long.

    Raises:
        ValueError: they are not.
    """
    if len(lengths := set(map(len, columns.values()))) > 1:
        raise ValueError(f"columns of {sorted(lengths)} rows; all must be equally long")
    return columns
