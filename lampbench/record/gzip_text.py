"""Texts as gzip files that are the same on every machine, and that no bomb can be read for."""

import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import IO

from lampbench.util.errors import LampbenchError

LARGEST = 2**30
"""Bytes of a file's text: what a reader unpacks at most. A longer table is in several files."""

BLOCK = 2**18
"""Bytes of a text that are in memory at a time; a multiple of zlib's window of 32 KiB."""

_GZIP = 16 + zlib.MAX_WBITS  # the container with checksum and length
_NOT_WHOLE = "not a gzip file (it is cut, or longer or shorter than it says)"


def even_blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Bytes in blocks of `BLOCK`, and the rest."""
    waiting = bytearray()
    for part in parts:
        waiting += part
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
    if waiting:
        yield bytes(waiting)


def digest_of_blocks(blocks: Iterable[bytes]) -> str:
    """The SHA-256 of what consists of blocks."""
    found = sha256()
    for block in blocks:
        found.update(block)
    return found.hexdigest()


def compress(text: bytes) -> bytes:
    """Gzip without a clock or a name: the same bytes for the same text and zlib.

    Raises:
        LampbenchError: the text is longer than what is read again.
    """
    buffer = io.BytesIO()
    write_compressed(even_blocks([text]), buffer)
    return buffer.getvalue()


def write_compressed(blocks: Iterable[bytes], stream: IO[bytes]) -> None:
    """As `compress`, for a text in `even_blocks`, into a file.

    zlib makes of these blocks the bytes that it makes of the whole text: its window is as full
    wherever one ends.

    Raises:
        LampbenchError: the text is longer than what is read again.
    """
    length = 0
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=stream, mtime=0) as packed:
        for block in blocks:
            length += len(block)
            packed.write(block)
    if length > LARGEST:
        raise LampbenchError(
            f"a text of {length:,} bytes cannot be recorded, {LARGEST:,} at most; shorten the "
            "longest text of the data"
        )


def decompress(data: bytes) -> bytes:
    """The text that was compressed. No more memory is used than the text needs.

    Raises:
        ValueError: the data is not one whole gzip file, or its text is longer than `LARGEST` bytes.
    """
    length = _bounded_length(data[-4:])
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        text = stream.decompress(data, length + 1)  # 0 would be no limit
        if len(text) <= length and not stream.eof:  # only checksum and length are left
            text += stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"not a gzip file ({error})") from error
    if not stream.eof or stream.unused_data or len(text) != length:
        raise ValueError(_NOT_WHOLE)
    return text


def text_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    """As `decompress`, for a file: the text, at most `BLOCK` bytes at a time.

    Raises:
        ValueError: as `decompress`; what came before may be of a damaged file.
        OSError: the file cannot be read.
    """
    length = claimed_length(stream)
    machine = zlib.decompressobj(wbits=_GZIP)
    done, data = 0, b""
    while not machine.eof:
        data = data or stream.read(BLOCK)
        try:
            text = machine.decompress(data, BLOCK)
        except zlib.error as error:
            raise ValueError(f"not a gzip file ({error})") from error
        done += len(text)
        if done > length or not (data or text):
            raise ValueError(_NOT_WHOLE)
        data = machine.unconsumed_tail
        yield text
    if done != length or machine.unused_data or stream.read(1):
        raise ValueError(_NOT_WHOLE)


def claimed_length(stream: IO[bytes]) -> int:
    """How many bytes a gzip file says that its text has; the file is at its beginning afterwards.

    Raises:
        ValueError: more than `LARGEST`.
        OSError: the file cannot be read.
    """
    stream.seek(max(stream.seek(0, os.SEEK_END) - 4, 0))
    length = _bounded_length(stream.read())
    stream.seek(0)
    return length


def _bounded_length(end: bytes) -> int:
    """The number in the last four bytes of a gzip file."""
    length = int.from_bytes(end, "little")
    if length > LARGEST:
        raise ValueError(f"its text has {length:,} bytes, {LARGEST:,} at most")
    return length
