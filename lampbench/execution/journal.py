"""Journals: results appended one by one, so that a killed run computes none of them twice."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from lampbench.util.atomic import replace
from lampbench.util.disk import writing
from lampbench.util.hashing import digest
from lampbench.util.regular_file import read_regular

R = TypeVar("R")

JOURNAL = "journal.jsonl"
"""The name of a journal's file."""


class Journal(Generic[R]):
    """An append-only file of (name, result, check) lines; `results` holds what it contains.

    `owner` says whose results these are, and goes into every line's check: a changed line or one
    from another owner's journal is not believed. An unfinished last line, which a kill leaves
    behind, is dropped; other lines that do not hold are dropped and reported through `say`.
    """

    def __init__(
        self,
        path: Path,
        owner: str,
        encode: Callable[[R], Any],
        decode: Callable[[Any], R],
        say: Callable[[str], object],
    ) -> None:
        self._path = path
        self._owner = owner
        self._encode = encode
        self.results: dict[str, R] = {}
        if not path.exists():
            path.unlink(missing_ok=True)  # a link to nothing
            return
        if not path.is_file():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            say(f"{path}: was no ordinary file; removed, these results are computed again")
            return
        lines = read_regular(path).splitlines(keepends=True)
        torn = _torn(lines)
        kept = []
        for line in lines[: len(lines) - torn]:
            try:
                name, value = _entry(line, owner)
                self.results[name] = decode(value)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
            kept.append(line)
        if damaged := len(lines) - torn - len(kept):
            what = "1 damaged line" if damaged == 1 else f"{damaged} damaged lines"
            say(f"{path}: {what} dropped; these results are computed again")
        if len(kept) < len(lines):
            replace(path, b"".join(kept))

    def add(self, name: str, result: R) -> None:
        """Append a result; from here on it survives a kill of the process.

        Raises:
            FullDisk: the disk is full; a line that was cut is dropped when the journal is read.
        """
        value = json.loads(json.dumps(self._encode(result)))
        check = _check(self._owner, name, value)
        line = json.dumps([name, value, check], ensure_ascii=True) + "\n"
        data = line.encode()
        with writing(self._path, len(data)), self._path.open("ab") as stream:
            stream.write(data)
        self.results[name] = result


def journal_owner(user: str, folder: Path) -> str:
    """The owner of a user's journal in a folder of the cache; `folder` is relative to the cache."""
    return f"{user} {folder.as_posix()}"


def lines_of(path: Path, owner: str) -> tuple[int, int]:
    """How many lines of a journal are an owner's, and how many whole lines are not.

    Raises:
        OSError: the file cannot be read.
    """
    lines = read_regular(path).splitlines(keepends=True)
    whole = lines[: len(lines) - _torn(lines)]
    sound = sum(_is_sound(line, owner) for line in whole)
    return sound, len(whole) - sound


def _torn(lines: Sequence[bytes]) -> bool:
    """Whether the last line was not finished, which a kill leaves behind."""
    return len(lines) > 0 and not lines[-1].endswith(b"\n")


def _is_sound(line: bytes, owner: str) -> bool:
    try:
        _entry(line, owner)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _entry(line: bytes, owner: str) -> tuple[str, Any]:
    """The name and value in a line.

    Raises:
        ValueError, TypeError, RecursionError: it is not a line of this owner.
    """
    name, value, check = json.loads(line)
    if check != _check(owner, name, value):
        raise ValueError("not a line of this owner")
    return name, value


def _check(owner: str, name: Any, value: Any) -> str:
    return digest([owner, name, value], 32)
