"""Free space, full disks, and whether a folder can be written."""

import contextlib
import errno
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lampbench.util.errors import LampbenchError, short_repr


def writable(folder: Path, option: str) -> None:
    """Make a folder and make sure that files can be written there.

    Raises:
        LampbenchError: they cannot; names the folder and the option that chooses another.
    """
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise LampbenchError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder with {option}"
        ) from error


def could_be_written(folder: Path, option: str) -> None:
    """Make sure, without making a folder, that it is one or could be made.

    Raises:
        LampbenchError: it cannot; names the folder and the option that chooses another.
    """
    if "\0" in str(folder):
        raise LampbenchError(f"{option} {short_repr(str(folder))}: has a NUL character; correct it")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        what = "is not writable" if existing.is_dir() else "is not a folder"
        raise LampbenchError(
            f"{folder}: cannot be written ({existing} {what}); choose another folder with {option}"
        )


def is_full(error: OSError) -> bool:
    """Whether an error means that the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class FullDisk(LampbenchError):
    """A file or folder cannot be written because the disk is full; `needed` bytes where known."""

    def __init__(self, path: Path, needed: int | None = None) -> None:
        free = f"{free_disk_bytes(path):,} bytes free"
        sizes = free if needed is None else f"{needed:,} bytes needed, {free}"
        super().__init__(
            f"{path}: the disk is full ({sizes}); free some space and run the same command again: "
            "finished work is kept"
        )


@contextlib.contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn a full disk into an error of one line; other errors pass.

    Args:
        path: what is written, a file or a folder.
        needed: its bytes, where they are known.

    Raises:
        FullDisk: the disk, or the user's share of it, is full.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise FullDisk(path, needed) from error
        raise


def free_disk_bytes(folder: Path) -> int:
    """Bytes that this user can still write on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def close_with(owner: object, stream: IO[bytes]) -> None:
    """Close a temporary file, and so delete it, with its owner.

    What a full disk did not take is lost then, which has been told when it was written.
    """
    weakref.finalize(owner, _closed, stream)


def _closed(stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        stream.close()
