"""The cache of artifacts on disk. An artifact's folder exists only when it is complete."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lampbench.execution.shard import ALL_USERS, Shard
from lampbench.util.atomic import sync_folder, sync_tree
from lampbench.util.disk import FullDisk, is_full, tree_bytes, writing
from lampbench.util.divided_lock import any_part_is_held, hold_part
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, file_digest
from lampbench.util.regular_file import read_regular

META, DAMAGED, PARTIAL, LOCKS = "meta.json", "damaged", "partial", "locks"
OWNER = "owner.json"
"""In a folder of unfinished work: whose it is."""


class Cache:
    """Artifacts under `root/<kind>/<key>/`, each with a `meta.json` that says what it is.

    `meta.json` holds the SHA-256 of the artifact's other files, its kind and key, and a digest of
    itself. An artifact is checked when it is first asked for; a damaged one is reported through
    `say`, moved to `root/damaged/` and counts as not made.

    Work in progress is kept under `root/partial/<kind>/<key>/` and survives a kill: checkpoints
    and journals found there are resumed.
    """

    def __init__(self, root: Path, say: Callable[[str], object]) -> None:
        self.root = root
        self._place = str(root)
        self.say = say
        self._sound: set[tuple[str, str]] = set()

    def path(self, kind: str, key: str) -> Path:
        """The folder of a finished artifact, whether or not it exists yet."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Whether an artifact is finished and sound; a damaged one is moved away.

        Raises:
            LampbenchError: a file cannot be read.
        """
        if (kind, key) in self._sound:
            return True
        # asked for every artifact of every plan: making a Path takes longer than asking
        if not os.path.isdir(f"{self._place}/{kind}/{key}"):  # noqa: PTH112
            return False
        folder = self.path(kind, key)
        if damage := find_damage(folder, kind, key):
            self._move_away(folder, kind, key, damage)
            return False
        self._sound.add((kind, key))
        with contextlib.suppress(OSError):  # another user's cache, or read-only
            os.utime(folder / META)  # when it was last used
        return True

    def forget(self, kind: str, key: str) -> None:
        """Take no artifact for sound that is about to be deleted."""
        self._sound.discard((kind, key))

    def lock(
        self, name: str, what: str, shard: Shard = ALL_USERS
    ) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from making the same artifacts; waits while one does.

        Processes with different shards of one division do not wait for each other.
        """
        return hold_part(self.root / LOCKS / name, shard.index, shard.count, what, self.say)

    def partial(self, kind: str, key: str) -> Path:
        """A folder for the work on an artifact, kept until `commit`."""
        folder = self.root / PARTIAL / kind / key
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def partial_of(self, kind: str, key: str, user: str | None) -> Path:
        """As `partial`, and notes whose work it is: a user's by id, or a whole task's (None)."""
        folder = self.partial(kind, key)
        if owner_of(folder) != WorkOwner(user):
            note = folder / f".{OWNER}.{os.getpid()}"
            with writing(folder):
                note.write_text(json.dumps({"user": user}), encoding="ascii")
                note.replace(folder / OWNER)
        return folder

    def commit(self, kind: str, key: str, payload: Path | None, meta: dict[str, Any]) -> None:
        """Publish an artifact: `payload` (a folder in the partial folder) and its description.

        Everything is on the disk before the artifact becomes visible. A process that finished the
        same artifact first wins; its copy is as good as ours.

        Raises:
            FullDisk: the disk is full.
        """
        partial = self.partial(kind, key)
        staged = partial / f"commit-{os.getpid()}"
        try:
            shutil.rmtree(staged, ignore_errors=True)
            staged.mkdir()
            if payload is not None:
                payload.rename(staged / payload.name)
            write_meta(staged, kind, key, meta)
            sync_tree(staged)
            final = self.path(kind, key)
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                staged.rename(final)
            except OSError:
                if not self.has(kind, key):
                    raise
            sync_folder(final.parent)
        except OSError as error:
            if is_full(error):
                raise FullDisk(self.path(kind, key), tree_bytes(staged)) from error
            raise
        shutil.rmtree(partial, ignore_errors=True)

    def meta(self, kind: str, key: str) -> dict[str, Any]:
        """The description of a finished artifact.

        Raises:
            LampbenchError: it is damaged, or there is none.
        """
        folder = self.path(kind, key)
        if not self.has(kind, key):
            raise LampbenchError(f"{folder}: no sound artifact; run the same command again")
        meta: dict[str, Any] = json.loads(read_regular(folder / META))
        return meta

    def drop_partial(self, kind: str, key: str) -> None:
        """Delete what was begun under a key."""
        shutil.rmtree(self.root / PARTIAL / kind / key, ignore_errors=True)

    def drop_finished(self, kind: str, keys: Iterable[str]) -> None:
        """Delete what a process that was killed in `commit` left of artifacts that are finished.

        For whoever holds their lock.
        """
        for begun in {path.name for path in (self.root / PARTIAL / kind).glob("*")} & {*keys}:
            self.drop_partial(kind, begun)

    def drop_if_free(self, kind: str, key: str, lock: str) -> None:
        """As `drop_partial`, unless another process holds a lock."""
        if (self.root / PARTIAL / kind / key).is_dir():
            file = self.root / LOCKS / lock
            with contextlib.suppress(Timeout, OSError), FileLock(file, 0):
                if not any_part_is_held(file):
                    self.drop_partial(kind, key)

    def _move_away(self, folder: Path, kind: str, key: str, damage: str) -> None:
        parent = self.root / DAMAGED
        parent.mkdir(parents=True, exist_ok=True)
        target = parent / f"{kind}-{key}"
        for number in range(1, 1000):
            if not target.exists():
                break
            target = parent / f"{kind}-{key}-{number}"
        with contextlib.suppress(FileNotFoundError):  # another process has moved it
            folder.rename(target)
            self.say(f"damaged artifact: {folder}: {damage}; moved to {target}, made again")


def write_meta(folder: Path, kind: str, key: str, meta: dict[str, Any]) -> None:
    """Describe an artifact's files in its `meta.json`."""
    files = {
        file.relative_to(folder).as_posix(): file_digest(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    content = {**meta, "kind": kind, "key": key, "files": files}
    # through JSON, so that the digest is of what a reader gets
    content = json.loads(json.dumps(content))
    content["digest"] = digest(content, 64)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    (folder / META).write_text(text, encoding="utf-8")


def find_damage(folder: Path, kind: str, key: str) -> str:
    """What is wrong with an artifact's folder; empty if nothing is.

    Raises:
        LampbenchError: a file cannot be read.
    """
    if not (folder / META).is_file():
        return f"{META} is missing"
    try:
        meta = json.loads(read_regular(folder / META))
        recorded = meta.pop("digest")
        files = dict(meta["files"])
        owner = meta["kind"], meta["key"]
    except FileNotFoundError:
        return f"{META} is missing"
    except OSError as error:
        raise unreadable(folder / META, error) from error
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return f"{META} is not what was written"
    if recorded != digest(meta, 64):
        return f"{META} was changed"
    if owner != (kind, key):
        return f"it is the artifact {owner[0]}/{owner[1]}"
    found = {
        file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()
    } - {META}
    for name in sorted(files.keys() | found):
        if name not in found:
            return f"{name} is missing"
        if name not in files:
            return f"{name} does not belong to it"
        if not (folder / name).is_file():
            return f"{name} is no ordinary file"
        try:
            if file_digest(folder / name) != files[name]:
                return f"{name} was changed"
        except OSError as error:
            raise unreadable(folder / name, error) from error
    return ""


@dataclass(frozen=True, slots=True)
class WorkOwner:
    """Whose unfinished work it is: a user's, by id, or that of a whole task (None)."""

    user: str | None


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


def unreadable(file: Path, error: OSError) -> LampbenchError:
    """The error for a file that the system refuses to read."""
    return LampbenchError(f"{file}: cannot be read ({error.strerror}); check its permissions")
