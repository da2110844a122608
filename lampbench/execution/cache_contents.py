"""What a cache holds, artifact by artifact: a million of them are never in memory at once."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lampbench.execution.artifact_files import META, find_damage
from lampbench.execution.cache import DAMAGED, LOCKS, PARTIAL, UNPUBLISHED
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest
from lampbench.util.regular_file import read_regular

_OTHER = {DAMAGED, LOCKS, PARTIAL, UNPUBLISHED}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One artifact's folder: `<root>/<kind>/<key>`."""

    kind: str
    key: str
    folder: Path

    def description(self) -> dict[str, Any]:
        """What its `meta.json` says; empty if it cannot be read."""
        try:
            meta = json.loads(read_regular(self.folder / META))
        except (OSError, ValueError, RecursionError):
            return {}
        return meta if isinstance(meta, dict) else {}

    @property
    def last_used(self) -> float:
        """When a command last used it, in seconds since 1970; 0 if that cannot be read."""
        try:
            return (self.folder / META).stat().st_mtime
        except OSError:
            return 0.0


def require_cache(root: Path) -> None:
    """Refuse a folder of something else: its files must be neither counted nor removed.

    Raises:
        LampbenchError: the folder has entries, but none that every cache has.
    """
    if root.is_dir() and any(root.iterdir()) and not (root / LOCKS).is_dir():
        raise LampbenchError(
            f"{root}: is no cache of lampbench (a cache has a folder {LOCKS}); give the folder "
            "that runs use as --cache-dir"
        )


def artifacts(root: Path) -> Iterator[Artifact]:
    """Every artifact of a cache, sound or not, kind by kind."""
    for kind in folders(root):
        if kind not in _OTHER:
            for key in folders(root / kind):
                yield Artifact(kind, key, root / kind / key)


def damaged_artifacts(root: Path) -> Iterator[tuple[Artifact, str]]:
    """The artifacts that are not what was written, each with what is wrong with it.

    Raises:
        LampbenchError: a file cannot be read.
    """
    for each in artifacts(root):
        if damage := find_damage(each.folder, each.kind, each.key):
            yield each, damage


def folders(parent: Path) -> Iterator[str]:
    """The names of the folders in a folder, which need not exist."""
    try:
        with os.scandir(parent) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name
    except FileNotFoundError:
        return


def entries_below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files and folders below a folder, of which there may be millions; links are not followed.

    What vanishes meanwhile, and what may not be read, is left out.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from entries_below(Path(entry.path))


def disk_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; those that vanish meanwhile count as none."""
    total = 0
    for entry in entries_below(folder):
        with contextlib.suppress(FileNotFoundError):
            if not entry.is_dir(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
    return total


@dataclass(slots=True)
class CacheGroup:
    """The artifacts of one kind for one task and model.

    `users` is the largest number of users that one setting (recipe and seed) has artifacts of.
    """

    kind: str
    task: str
    model: str
    artifacts: int = 0
    bytes: int = 0
    last_used: float = 0.0
    _settings: dict[str, int] = field(default_factory=dict)

    @property
    def settings(self) -> int:
        """How many recipes and seeds there are."""
        return len(self._settings)

    @property
    def users(self) -> int:
        """Users of the setting that has most of them; 0 for artifacts of a whole task."""
        return max(self._settings.values(), default=0)

    def add(self, artifact: Artifact, meta: dict[str, Any]) -> None:
        """Count one more artifact."""
        self.artifacts += 1
        self.bytes += disk_bytes(artifact.folder)
        self.last_used = max(self.last_used, artifact.last_used)
        setting = digest([meta.get("recipe"), meta.get("seed")])
        count = self._settings.setdefault(setting, 0)
        self._settings[setting] = count + (meta.get("owner") is not None)


def grouped(root: Path) -> list[CacheGroup]:
    """The artifacts of a cache by kind, task and model; memory grows with the settings only."""
    found: dict[tuple[str, str, str], CacheGroup] = {}
    for each in artifacts(root):
        meta = each.description()
        place = each.kind, str(meta.get("task", "?")), str(meta.get("model", "?"))
        found.setdefault(place, CacheGroup(*place)).add(each, meta)
    return [found[place] for place in sorted(found)]
