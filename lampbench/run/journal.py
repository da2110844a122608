"""Journals: results appended one by one, so that a killed run computes none of them twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Journal(Generic[R]):
    """An append-only file of (name, result) lines; `results` holds what it contains.

    Reading stops at the first line that is not whole, which is what a kill leaves behind, and
    the rest of the file is cut off.
    """

    def __init__(self, path: Path, encode: Callable[[R], Any], decode: Callable[[Any], R]) -> None:
        self._path = path
        self._encode = encode
        self.results: dict[str, R] = {}
        if not path.exists():
            return
        whole = 0
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                name, value = json.loads(line)
                result = decode(value)
            except (ValueError, TypeError, KeyError):
                break
            if not line.endswith(b"\n"):
                break
            self.results[name] = result
            whole += len(line)
        with path.open("r+b") as stream:
            stream.truncate(whole)

    def add(self, name: str, result: R) -> None:
        """Append a result; from here on it survives a kill of the process."""
        self.results[name] = result
        line = json.dumps([name, self._encode(result)], ensure_ascii=True) + "\n"
        with self._path.open("ab") as stream:
            stream.write(line.encode())
