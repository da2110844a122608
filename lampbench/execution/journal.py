"""Journals: results appended one by one, so that a killed run computes none of them twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from lampbench.util.atomic import replace
from lampbench.util.disk import writing
from lampbench.util.hashing import digest

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
            return
        lines = path.read_bytes().splitlines(keepends=True)
        torn = len(lines) > 0 and not lines[-1].endswith(b"\n")
        kept = []
        for line in lines[: len(lines) - torn]:
            try:
                name, value, check = json.loads(line)
                if check != self._check(name, value):
                    continue
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
        line = json.dumps([name, value, self._check(name, value)], ensure_ascii=True) + "\n"
        data = line.encode()
        with writing(self._path, len(data)), self._path.open("ab") as stream:
            stream.write(data)
        self.results[name] = result

    def _check(self, name: Any, value: Any) -> str:
        return _check(self._owner, name, value)


def written_for(path: Path, owner: str) -> bool:
    """Whether a journal holds a line of an owner."""
    for line in path.read_bytes().splitlines():
        try:
            name, value, check = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if check == _check(owner, name, value):
            return True
    return False


def _check(owner: str, name: Any, value: Any) -> str:
    return digest([owner, name, value], 32)
