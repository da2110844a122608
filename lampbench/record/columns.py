"""Tables as gzipped JSON, a list for each column.

`pandas.DataFrame(json.load(gzip.open("scores.json.gz")))` reads such a file. Of the forms that
were measured on 286 runs (JSON lines or columns with gzip or xz, Parquet with zstd), columns with
gzip read fastest and need no library; only xz is smaller, by 15%, and takes fifteen times as long
to write.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lampbench.record.typed_json import loads
from lampbench.util.errors import LampbenchError

LARGEST = 2**30
"""Bytes of a file's text: the predictions of about a million queries."""

_GZIP = 16 + zlib.MAX_WBITS  # the container with checksum and length


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
    return rows_to_text(list(columns), zip(*columns.values(), strict=True))


def rows_to_text(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table as JSON, of whose rows one at a time is in memory.

    Raises:
        ValueError: a number is not finite.
    """
    columns = [bytearray() for _ in names]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column += b"," if column else b""
            column += encode_text(_json(value))
    parts = (
        encode_text(_json(name)) + b":[" + column + b"]"
        for name, column in zip(names, columns, strict=True)
    )
    return b"{" + b",".join(parts) + b"}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compress(text: bytes) -> bytes:
    """Gzip without a clock or a name: the same bytes for the same text and zlib.

    Raises:
        LampbenchError: the text is longer than what is read again.
    """
    if len(text) > LARGEST:
        raise LampbenchError(
            f"a file of {len(text):,} bytes cannot be recorded, {LARGEST:,} at most; "
            "run fewer users"
        )
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(text)
    return buffer.getvalue()


def decompress(data: bytes) -> bytes:
    """The text that was compressed. No more memory is used than the text needs.

    Raises:
        ValueError: the data is not one whole gzip file, or its text is longer than `LARGEST` bytes.
    """
    # a gzip file ends in the length of its text
    length = int.from_bytes(data[-4:], "little")
    if length > LARGEST:
        raise ValueError(f"its text has {length:,} bytes, {LARGEST:,} at most")
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        text = stream.decompress(data, length + 1)  # 0 would be no limit
        if len(text) <= length and not stream.eof:  # only checksum and length are left
            text += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"not a gzip file ({error})") from error
    if not stream.eof or stream.unused_data or len(text) != length:
        raise ValueError("not a gzip file (it is cut, or longer or shorter than it says)")
    return text


def from_text(text: bytes) -> dict[str, list[Any]]:
    """The columns of a table.

    Raises:
        ValueError: it is no JSON object of equally long lists, or a number is not finite.
    """
    columns = loads(text)
    if not isinstance(columns, dict) or not all(isinstance(c, list) for c in columns.values()):
        raise ValueError("not an object of lists")
    if len(lengths := set(map(len, columns.values()))) > 1:
        raise ValueError(f"columns of {sorted(lengths)} rows; all must be equally long")
    return columns
