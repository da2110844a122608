"""Whose unfinished work a folder of a cache holds: a note beside it, for who is to be forgotten."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lampbench.util.disk import writing
from lampbench.util.regular_file import read_regular

OWNER = "owner.json"
"""The name of the note."""


@dataclass(frozen=True, slots=True)
class WorkOwner:
    """Whose unfinished work it is: a user's, by id, or that of a whole task (None)."""

    user: str | None


def note_owner(folder: Path, owner: WorkOwner) -> None:
    """Write the note, unless it is there.

    Raises:
        FullDisk: the disk is full.
    """
    if owner_of(folder) != owner:
        note = folder / f".{OWNER}.{os.getpid()}"
        with writing(folder):
            note.write_text(json.dumps({"user": owner.user}), encoding="ascii")
            note.replace(folder / OWNER)


def owner_of(folder: Path) -> WorkOwner | None:
    """Whose unfinished work a folder holds.

    None if that is not known: the work was begun by an earlier version, or its note is damaged.
    """
    try:
        note = json.loads(read_regular(folder / OWNER))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(note, dict) or note.keys() != {"user"}:
        return None
    return WorkOwner(note["user"]) if isinstance(note["user"], str | None) else None
