"""What a killed writer of a run leaves beside its folder, and how that is put right.

A run is replaced by two renames: the old folder goes aside, then the new one takes its place. A
writer that is killed between them leaves the old run aside, complete, and none in place.
"""

import contextlib
import secrets
import shutil
from pathlib import Path

from lampbench.record.manifest import MANIFEST

TEMPORARY, REPLACED = ".tmp-", ".old-"
"""Prefixes of folders that a writer has not finished, or has put aside."""


def new_leftover(prefix: str, folder: Path) -> Path:
    """A new name beside a run's folder."""
    return folder.with_name(f"{prefix}{folder.name}-{secrets.token_hex(4)}")


def run_of(leftover: Path) -> Path | None:
    """The folder of the run that a leftover belongs to; None for any other folder."""
    for prefix in (TEMPORARY, REPLACED):
        if leftover.name.startswith(prefix):
            name, dash, _ = leftover.name.removeprefix(prefix).rpartition("-")
            return leftover.with_name(name) if dash and name else None
    return None


def leftovers(folder: Path, prefix: str) -> list[Path]:
    """The leftovers of a run with a prefix."""
    if not folder.parent.is_dir():
        return []
    return sorted(
        path
        for path in folder.parent.iterdir()
        if path.name.startswith(prefix) and run_of(path) == folder
    )


def put_right(folder: Path) -> None:
    """Restore the run that was put aside if none took its place; delete other leftovers.

    For whoever holds the run's lock.

    Raises:
        OSError: the disk refuses.
    """
    restore(folder)
    for prefix in (TEMPORARY, REPLACED):
        for left in leftovers(folder, prefix):
            shutil.rmtree(left, ignore_errors=True)


def restore(folder: Path) -> None:
    """Put back the run that was put aside if none took its place, or else delete it.

    For whoever holds the run's lock.

    Raises:
        OSError: the disk refuses.
    """
    for aside in leftovers(folder, REPLACED):
        if not folder.exists() and (aside / MANIFEST).is_file():
            with contextlib.suppress(FileNotFoundError):
                aside.rename(folder)
        else:
            shutil.rmtree(aside, ignore_errors=True)
