"""Read JSON files one record at a time, however large, with errors that name file and record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lampbench.data.file_checks import BOM, check_json_start, first_json_byte, open_data
from lampbench.data.json_text import LONGEST_VALUE, JsonText, MalformedJson
from lampbench.data.parse_values import as_object, as_text
from lampbench.util.errors import LampbenchError

_GOLDS, _TASK = "golds", "task"


def stream_list(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and record, object) for each record of a list, or of the list `"golds"` of an object.

    The file is parsed as a stream: one record is held at a time. It may be gzipped.

    Raises:
        LampbenchError: no such file, not JSON in UTF-8, JSON lines, malformed JSON, no records,
            or a record that is not an object.
    """
    is_list = first_json_byte(path) == b"["
    count = 0
    with open_data(path) as stream:
        text = JsonText(stream)
        try:
            for count, item in enumerate(text.items() if is_list else _golds(text), 1):
                where = f"{path}: record {count}"
                if isinstance(item, dict) and isinstance(item.get("id"), (str, int)):
                    where += f" (id {_short(item['id'])})"
                yield where, as_object(item, where)
            rest = text.next_character()
        except MalformedJson as error:
            raise LampbenchError(
                f"{path}: malformed JSON after record {count}: {error}; "
                "download or write the file again"
            ) from None
    if rest == "{" and not is_list:
        raise LampbenchError(
            f"{path}: has one JSON object per line; put them into one list, [{{...}}, {{...}}] "
            "(jq -s . FILE)"
        )
    if rest:
        raise LampbenchError(
            f"{path}: malformed JSON after record {count}: {rest!r} follows the end; remove what "
            "follows or download the file again"
        )
    if not count:
        what = "an empty list" if is_list else 'an object without a list "golds"'
        raise LampbenchError(f"{path}: has no records ({what}); give the complete file")


def declared_task(path: Path) -> str | None:
    """The `"task"` of a file `{"task": ..., "golds": [...]}`; None if there is none.

    Raises:
        LampbenchError: no such file, not JSON in UTF-8, or the task is not text.
    """
    if first_json_byte(path) == b"[":
        return None
    with open_data(path) as stream:
        try:
            for name, number, value in JsonText(stream).members():
                if name == _TASK and number is None and value is not None:
                    return as_text(value, str(path), _TASK)
        except MalformedJson:
            return None  # `stream_list` meets the same error and names the record
    return None


def stream_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and line, object) for each line of a JSON-lines file; blank lines are skipped.

    The file may be gzipped.

    Raises:
        LampbenchError: no such file, not JSON in UTF-8, one JSON list, a malformed line, or a line
            that is not an object.
    """
    with open_data(path) as stream:
        start = stream.read(4096)
    check_json_start(path, start)
    if start.removeprefix(BOM).lstrip().startswith(b"["):
        raise LampbenchError(
            f"{path}: is one JSON list; write one object per line instead (jq -c '.[]' FILE)"
        )
    with open_data(path) as stream:
        stream.read(len(BOM) if start.startswith(BOM) else 0)
        for number, line in enumerate(_lines(stream, path), 1):
            if line.strip():
                where = f"{path}:{number}"
                yield where, as_object(_parsed(line, where), where)


def stream_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`stream_list` if the file is a list, `stream_lines` if it has one object per line."""
    return stream_list(path) if first_json_byte(path) == b"[" else stream_lines(path)


def parse_object(content: bytes, where: str) -> dict[str, Any]:
    """The JSON object that is the whole content of a file or a line.

    Raises:
        LampbenchError: it is none.
    """
    return as_object(_parsed(content.removeprefix(BOM), where), where)


def _golds(text: JsonText) -> Iterator[Any]:
    return (item for name, number, item in text.members() if name == _GOLDS and number is not None)


def _short(name: str | int) -> str:
    try:
        return str(name)[:40]
    except ValueError:  # thousands of digits
        return "a number"


def _lines(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    number = 1
    while line := stream.readline(LONGEST_VALUE + 1):
        if len(line) > LONGEST_VALUE:
            raise LampbenchError(
                f"{path}:{number}: has more than {LONGEST_VALUE:,} bytes; write one object per line"
            )
        yield line
        number += 1


def _parsed(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise LampbenchError(
            f"{where}: malformed JSON: {error.msg.removesuffix(' at')} (character "
            f"{error.pos + 1:,}); correct it"
        ) from None
    except UnicodeDecodeError as error:
        raise LampbenchError(
            f"{where}: is not UTF-8 (byte {error.start + 1:,}); save the file as UTF-8"
        ) from None
    except (ValueError, RecursionError):  # JSON, but no sensible record
        raise LampbenchError(
            f"{where}: a number of thousands of digits, or nested too deeply; correct it"
        ) from None
