"""Content digests: the keys of artifacts and the fingerprints of data and models."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lampbench.util.regular_file import open_regular


def canonical(value: Any) -> str:
    """JSON text that is the same for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def digest(value: Any, length: int = 16) -> str:
    """First `length` hex digits of the SHA-256 of a JSON-serialisable value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def digest_of_list(items: Iterable[Any], length: int = 16) -> str:
    """The `digest` of a list of items, of which one at a time is in memory.

    An item that is an iterator counts as the list of what it yields.
    """
    found = hashlib.sha256()
    for text in _list_text(items):
        found.update(text.encode())
    return found.hexdigest()[:length]


def _list_text(items: Iterable[Any]) -> Iterator[str]:
    """A list as `canonical` writes it, in pieces."""
    yield "["
    for number, item in enumerate(items):
        yield "," if number else ""
        yield from _list_text(item) if isinstance(item, Iterator) else [canonical(item)]
    yield "]"


def file_digest(path: Path, length: int = 64) -> str:
    """First `length` hex digits of the SHA-256 of an ordinary file's bytes.

    Raises:
        OSError: it is none, or cannot be read.
    """
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:length]


def folder_digest(folder: Path, length: int = 16) -> str:
    """First `length` hex digits of the digest of every file of a folder, by its path there.

    Raises:
        OSError: a file cannot be read.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [[path.relative_to(folder).as_posix(), file_digest(path)] for path in files]
    return digest(named, length)


def seed_from(*parts: object) -> int:
    """A 31-bit seed that depends on all parts and on nothing else (not on batch or order)."""
    text = canonical([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
