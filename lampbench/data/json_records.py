"""Reading JSON files record by record, however large, with errors that say where."""

import gzip
import json
import mmap
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ijson

from lampbench.data.field_values import mapping
from lampbench.util.errors import LampbenchError

_BOM = b"\xef\xbb\xbf"
# An escaped pair of surrogates, or half of one.
_SURROGATE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>[89a-fA-F][0-9a-fA-F]{2}))"
)


def items(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each record of a list, or of the list under `"golds"` of an object.

    The file is parsed as a stream: one record is held at a time.

    Raises:
        LampbenchError: no such file, an HTML page, malformed JSON, a record that is no object.
    """
    prefix = "item" if _first_byte(path) == b"[" else "golds.item"
    count = 0
    with path.open("rb") as stream:
        stream.seek(len(_BOM) if stream.read(len(_BOM)) == _BOM else 0)
        try:
            for count, item in enumerate(ijson.items(stream, prefix, use_float=True), 1):
                where = f"{path}: record {count}"
                if isinstance(item, dict) and isinstance(item.get("id"), (str, int)):
                    where += f" (id {str(item['id'])[:40]})"
                yield where, mapping(item, where)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise LampbenchError(
                f"{path}: malformed JSON after record {count}: {_reason(error)}; "
                "download or write the file again"
            ) from None
    if not count:
        what = "an empty list" if prefix == "item" else 'an object without "golds"'
        raise LampbenchError(f"{path}: holds no records ({what}); give the whole file")


def task_of(path: Path) -> str | None:
    """The `"task"` of a file `{"task": ..., "golds": [...]}`; None where there is none.

    Raises:
        LampbenchError: as `items`.
    """
    if _first_byte(path) == b"[":
        return None
    with path.open("rb") as stream:
        stream.seek(len(_BOM) if stream.read(len(_BOM)) == _BOM else 0)
        try:
            task = next(ijson.items(stream, "task"), None)
        except (ijson.JSONError, UnicodeDecodeError):
            return None  # `items` meets the same error and says after which record
    return None if task is None else str(task)


def lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each line of a JSON-lines file; blank lines are passed over.

    A file whose name ends in `.gz` is unpacked on the way.

    Raises:
        LampbenchError: no such file, a malformed line, a line that is no object, no gzip.
    """
    check_file(path)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(_raw_lines(stream, path), 1):
            where = f"{path}:{number}"
            raw = line.removeprefix(_BOM) if number == 1 else line
            if not raw.strip():
                continue
            try:
                value = json.loads(raw)
            except json.JSONDecodeError as error:
                raise LampbenchError(
                    f"{where}: malformed JSON: {error.msg} (column {error.colno}); mend the line"
                ) from None
            except UnicodeDecodeError as error:
                raise LampbenchError(
                    f"{where}: not UTF-8 (byte {error.start} of the line); write the file in UTF-8"
                ) from None
            yield where, mapping(value, where)


def _raw_lines(stream: Iterable[bytes], path: Path) -> Iterator[bytes]:
    try:
        yield from stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LampbenchError(f"{path}: cannot be unpacked: {error}; download it again") from None


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`items` of a file that is a list, `lines` of a file with one object a line."""
    return items(path) if _first_byte(path) == b"[" else lines(path)


def check_escapes(path: Path) -> None:
    """Refuse escapes of half a character (a surrogate alone), which the parser would hide.

    Raises:
        LampbenchError: there is one; the message says at which byte.
    """
    check_file(path)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        match = _SURROGATE.search(view)
        while match:
            start = match.start()
            written_out = _backslashes_before(view, start) % 2  # it is text, not an escape
            if match["lone"] and not written_out:
                raise LampbenchError(
                    f"{path}: byte {start}: {match[0].decode()} is a lone surrogate: half a "
                    "character, no text; remove it or write it whole"
                )
            match = _SURROGATE.search(view, start + 2 if written_out else match.end())


def _backslashes_before(view: mmap.mmap, place: int) -> int:
    count = 0
    while count < place and view[place - count - 1] == ord("\\"):
        count += 1
    return count


def check_file(path: Path) -> None:
    """Raises LampbenchError where a file is missing, no file, unreadable or empty."""
    if path.is_dir():
        raise LampbenchError(f"{path}: is a folder, where a file is needed")
    if not path.exists():
        raise LampbenchError(f"{path}: no such file")
    try:
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise LampbenchError(f"{path}: cannot be read: {error.strerror}") from None
    if empty:
        raise LampbenchError(f"{path}: is empty; download or write the file again")


def _first_byte(path: Path) -> bytes:
    """`[` or `{`, whichever the JSON text begins with."""
    check_file(path)
    with path.open("rb") as stream:
        start = stream.read(4096).removeprefix(_BOM).lstrip()
    if start[:1] in (b"[", b"{"):
        return start[:1]
    if start[:1] == b"<":
        raise LampbenchError(
            f"{path}: is an HTML page, not JSON: the download address was wrong; download it again"
        )
    shown = start[:20].decode("utf-8", "replace")
    raise LampbenchError(f"{path}: is not JSON in UTF-8 (it begins {shown!r}); give the right file")


def _reason(error: Exception) -> str:
    """The first line of a parser's message (yajl draws the place below it)."""
    text = str(error)
    if text.startswith(("b'", 'b"')):  # ijson shows undecodable messages as bytes
        text = text[2:]
    return re.split(r"\\n|\n", text)[0].rstrip(" .")
