"""Read JSON files one record at a time, however large, with errors that name file and record."""

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import ijson

from lampbench.data.file_checks import BOM, check_file, check_json_start, first_json_byte
from lampbench.data.parse_values import as_object
from lampbench.util.errors import LampbenchError

LONGEST_LINE = 2**24
"""Bytes of a first line that is read to tell JSON lines from one large object."""


def stream_list(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and record, object) for each record of a list, or of the list `"golds"` of an object.

    The file is parsed as a stream: one record is held at a time.

    Raises:
        LampbenchError: no such file, not JSON in UTF-8, JSON lines, malformed JSON, no records,
            or a record that is not an object.
    """
    prefix = "item" if first_json_byte(path) == b"[" else "golds.item"
    count = 0
    with path.open("rb") as stream:
        stream.seek(len(BOM) if stream.read(len(BOM)) == BOM else 0)
        try:
            for count, item in enumerate(ijson.items(stream, prefix, use_float=True), 1):
                where = f"{path}: record {count}"
                if isinstance(item, dict) and isinstance(item.get("id"), (str, int)):
                    where += f" (id {str(item['id'])[:40]})"
                yield where, as_object(item, where)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            if prefix != "item" and _is_json_lines(path):
                raise LampbenchError(
                    f"{path}: has one JSON object per line; put them into one list, "
                    "[{...}, {...}]"
                ) from None
            raise LampbenchError(
                f"{path}: malformed JSON after record {count}: {_reason(error)}; "
                "download or write the file again"
            ) from None
    if not count:
        what = "an empty list" if prefix == "item" else 'an object without a list "golds"'
        raise LampbenchError(f"{path}: has no records ({what}); give the complete file")


def declared_task(path: Path) -> str | None:
    """The `"task"` of a file `{"task": ..., "golds": [...]}`; None if there is none.

    Raises:
        LampbenchError: no such file, or not JSON in UTF-8.
    """
    if first_json_byte(path) == b"[":
        return None
    with path.open("rb") as stream:
        stream.seek(len(BOM) if stream.read(len(BOM)) == BOM else 0)
        try:
            task = next(ijson.items(stream, "task", use_float=True), None)
        except (ijson.JSONError, UnicodeDecodeError):
            return None  # `stream_list` meets the same error and names the record
    return None if task is None else str(task)


def stream_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, object) for each line of a JSON-lines file; blank lines are skipped.

    A file whose name ends in `.gz` is unpacked while it is read.

    Raises:
        LampbenchError: no such file, not JSON in UTF-8, one JSON list, a malformed line, a line
            that is not an object, or a `.gz` that is not gzip.
    """
    check_file(path)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(_raw_lines(stream, path), 1):
            where = f"{path}:{number}"
            if number == 1:
                check_json_start(path, line)
                line = line.removeprefix(BOM)
                if line.lstrip().startswith(b"["):
                    raise LampbenchError(
                        f"{path}: is one JSON list; write one object per line instead"
                    )
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise LampbenchError(
                    f"{where}: malformed JSON: {error.msg} (column {error.colno}); correct the line"
                ) from None
            except UnicodeDecodeError as error:
                raise LampbenchError(
                    f"{where}: is not UTF-8 (byte {error.start} of the line); save the file as "
                    "UTF-8"
                ) from None
            except (ValueError, RecursionError):  # JSON, but no sensible record
                raise LampbenchError(
                    f"{where}: a number of thousands of digits, or nested too deeply; correct the "
                    "line"
                ) from None
            yield where, as_object(value, where)


def stream_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`stream_list` if the file is a list, `stream_lines` if it has one object per line."""
    return stream_list(path) if first_json_byte(path) == b"[" else stream_lines(path)


def _raw_lines(stream: Iterable[bytes], path: Path) -> Iterator[bytes]:
    try:
        yield from stream
    except gzip.BadGzipFile:
        raise LampbenchError(
            f"{path}: is not gzip; rename it without .gz or download it again"
        ) from None
    except (EOFError, zlib.error) as error:
        raise LampbenchError(f"{path}: cannot be unpacked ({error}); download it again") from None


def _is_json_lines(path: Path) -> bool:
    """Whether the first line is a whole object and another object follows it."""
    with path.open("rb") as stream:
        first = stream.readline(LONGEST_LINE).removeprefix(BOM)
        rest = stream.read(4096).lstrip()
    try:
        return isinstance(json.loads(first), dict) and rest.startswith(b"{")
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    """The first line of a parser's message (yajl draws the place below it)."""
    text = str(error)
    if text.startswith(("b'", 'b"')):  # ijson shows undecodable messages as bytes
        text = text[2:]
    return re.split(r"\\n|\n", text)[0].rstrip(" .")
