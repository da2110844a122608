"""Free space, full disks, and whether a folder can be written."""

import errno
import shutil
import tempfile
from pathlib import Path

from lampbench.util.errors import LampbenchError


def writable(folder: Path, option: str) -> None:
    """Make a folder and make sure that files can be written there.

    Raises:
        LampbenchError: they cannot; names the folder and the option that chooses another.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LampbenchError(
            f"{folder}: cannot be written ({error.strerror}); choose another folder with {option}"
        ) from error


def is_full(error: OSError) -> bool:
    """Whether an error means that the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def full_disk(folder: Path, needed: int, option: str) -> LampbenchError:
    """The error for a full disk: the folder, bytes needed and bytes free."""
    free = free_disk_bytes(folder)
    return LampbenchError(
        f"{folder}: the disk is full: {needed:,} bytes needed, {free:,} free; free some "
        f"space or choose another folder with {option}; finished work is kept"
    )


def free_disk_bytes(folder: Path) -> int:
    """Bytes that this user can still write on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


def tree_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
