"""Unfinished work in a cache: journals and checkpoints, whose they are, whether they are sound."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lampbench.engine.checkpoint_file import CHECKPOINT, CheckpointDamage, unsealed
from lampbench.execution.artifact_files import unreadable
from lampbench.execution.cache import PARTIAL
from lampbench.execution.cache_contents import folders
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.journal import JOURNAL, journal_owner, lines_of
from lampbench.execution.work_owner import OWNER, WorkOwner, owner_of
from lampbench.util.regular_file import read_regular


@dataclass(frozen=True, slots=True)
class PartialWork:
    """The work on one artifact, or on a user's answers; `place` is its folder inside the cache."""

    root: Path
    kind: str
    place: Path

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.root / self.place

    @property
    def owner(self) -> WorkOwner | None:
        """Whose it is; None if that is not known."""
        return owner_of(self.folder)

    @property
    def journal(self) -> Path | None:
        """The file of results that were received, if there are any."""
        file = self.folder / JOURNAL
        return file if file.is_file() else None

    def is_journal_of(self, user: str) -> bool:
        """Whether a user's results are in its journal, which does not say so by name."""
        owner = journal_owner(user, self.place)
        return self.journal is not None and lines_of(self.journal, owner)[0] > 0


def partial_work(root: Path) -> Iterator[PartialWork]:
    """All unfinished work in a cache."""
    for kind in folders(root / PARTIAL):
        for key in folders(root / PARTIAL / kind):
            place = Path(PARTIAL, kind, key)
            if kind != PREDICTIONS:
                yield PartialWork(root, kind, place)
                continue
            for user in folders(root / place):
                yield PartialWork(root, kind, place / user)


def checked_work(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Every journal and checkpoint of a cache, each with what is wrong with it (empty: nothing).

    None where that cannot be known: the checks of a journal's lines hold for its owner, which is
    not noted beside journals of an earlier version. The line that a killed process did not finish
    is not damage, and a file that is gone when it is to be read is left out: its work has ended.

    Raises:
        LampbenchError: a file cannot be read.
    """
    for work in partial_work(root):
        for parent, _, names in os.walk(work.folder):
            for name in sorted(names):
                file = Path(parent) / name
                try:
                    if name == JOURNAL:
                        yield file, _journal_damage(work, file)
                    elif name == CHECKPOINT:
                        yield file, _checkpoint_damage(file)
                    elif name == OWNER and work.owner is None:
                        yield file, "does not say whose work it is"
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise unreadable(file, error) from error


def _journal_damage(work: PartialWork, file: Path) -> str | None:
    if not file.is_file():
        return "is no ordinary file"
    owner = work.owner
    if owner is None or owner.user is None:
        return None
    _, damaged = lines_of(file, journal_owner(owner.user, work.place))
    if damaged == 1:
        return "1 damaged line"
    return f"{damaged} damaged lines" if damaged else ""


def _checkpoint_damage(file: Path) -> str:
    if not file.is_file():
        return "is no ordinary file"
    try:
        unsealed(read_regular(file))
    except CheckpointDamage as damage:
        return str(damage)
    return ""
