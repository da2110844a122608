"""Writing files atomically: they appear complete or not at all, and stay after a power cut."""

import contextlib
import glob
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lampbench.util.disk import writing

_STALE = 3600.0  # seconds after which a temporary file is not being written any more


def replace(output: Path, content: bytes) -> None:
    """Write a temporary file and rename it, so that a killed process leaves the old file intact.

    What processes that were killed more than an hour ago left of the same file is removed.

    Raises:
        FullDisk: the disk is full.
        OSError: the file cannot be written for another reason.
    """
    with writing(output, len(content)), replacing(output) as stream:
        stream.write(content)


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[IO[bytes]]:
    """As `replace`, for what is written to a stream; after an error the old file is there.

    Raises:
        FullDisk: the disk is full.
        OSError: the file cannot be written for another reason.
    """
    temporary = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        with writing(output):
            with temporary.open("wb") as stream:
                yield stream
            sync_file(temporary)
            temporary.replace(output)
            sync_folder(output.parent)
        _remove_stale(output)
    finally:
        temporary.unlink(missing_ok=True)


def temporaries(folder: Path, pattern: str) -> list[Path]:
    """What writers left, or are writing, of the files in a folder whose names match a pattern."""
    return sorted(folder.glob(f".{pattern}.{'[0-9a-f]' * 8}"))


def _remove_stale(output: Path) -> None:
    before = time.time() - _STALE
    for left in temporaries(output.parent, glob.escape(output.name)):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < before:
                left.unlink()


def sync_file(file: Path) -> None:
    """Make sure that a file's content is on the disk."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make sure that a folder's entries are on the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make sure that a folder and everything below it is on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
        else:
            sync_file(path)
    sync_folder(folder)
