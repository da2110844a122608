"""The cache of artifacts on disk. An artifact's folder exists only when it is complete."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lampbench.execution.artifact_files import META, find_damage, lay_out
from lampbench.execution.fetch_artifact import fetch_sound
from lampbench.execution.remote_folder import store_of
from lampbench.execution.shard import ALL_USERS, Shard
from lampbench.execution.work_owner import WorkOwner, note_owner
from lampbench.util.atomic import sync_folder, sync_tree
from lampbench.util.disk import FullDisk, is_full, tree_bytes, writable, writing
from lampbench.util.divided_lock import any_part_is_held, hold_part
from lampbench.util.errors import LampbenchError
from lampbench.util.regular_file import read_regular

DAMAGED, PARTIAL, LOCKS, UNPUBLISHED = "damaged", "partial", "locks", "unpublished"


class Cache:
    """Artifacts under `root/<kind>/<key>/`, each with a `meta.json` that says what it is.

    `meta.json` holds the SHA-256 of the artifact's other files, its kind and key, and a digest of
    itself. An artifact is checked when it is first asked for; a damaged one is reported through
    `say`, moved to `root/damaged/` and counts as not made.

    Work in progress is kept under `root/partial/<kind>/<key>/` and survives a kill: checkpoints
    and journals found there are resumed.

    Where `root` is the local folder of a remote store (`remote_folder`), what is finished here is
    published there, and what is missing here is fetched from there and checked. `root/unpublished/`
    names what is finished and was not published yet, because the process was killed or the store
    could not be reached; it is published when the cache is next used.
    """

    def __init__(self, root: Path, say: Callable[[str], object]) -> None:
        self.root = root
        self._place = str(root)
        self.say = say
        self._sound: set[tuple[str, str]] = set()
        self.remote = store_of(root)

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
            return self._fetched(kind, key)
        folder = self.path(kind, key)
        if damage := find_damage(folder, kind, key):
            self._move_away(folder, kind, key, damage)
            return self._fetched(kind, key)
        self._used(kind, key)
        return True

    def _used(self, kind: str, key: str) -> None:
        self._sound.add((kind, key))
        with contextlib.suppress(OSError):  # another user's cache, or read-only
            os.utime(self.path(kind, key) / META)  # when it was last used

    def may_have(self, kind: str, key: str) -> bool:
        """As `has`, for plans: of a remote store only the list of keys is read.

        So nothing is fetched or removed there, and what is just being published counts as there.
        """
        if self.remote is None:
            return self.has(kind, key)
        return self.is_here(kind, key) or self.remote.may_have(kind, key)

    def is_here(self, kind: str, key: str) -> bool:
        """Whether this machine has a sound artifact; nothing is fetched or moved."""
        if (kind, key) not in self._sound:
            if find_damage(self.path(kind, key), kind, key):
                return False
            self._used(kind, key)
        return True

    def is_stored(self, kind: str, key: str) -> bool:
        """As `has`; where there is a remote store, whether it has the artifact: fetches nothing."""
        return self.has(kind, key) if self.remote is None else bool(self.remote.meta(kind, key))

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind's artifacts, sound or not, in order; the remote store's if any."""
        if self.remote is not None:
            return sorted(self.remote.keys(kind))
        place = self.root / kind
        return sorted(os.listdir(place)) if place.is_dir() else []  # noqa: PTH208

    def remove(self, kind: str, key: str) -> None:
        """Delete an artifact, here and in the remote store."""
        self._sound.discard((kind, key))
        shutil.rmtree(self.path(kind, key), ignore_errors=True)
        if self.remote is not None:
            self.remote.remove(kind, key)

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
        note_owner(folder, WorkOwner(user))
        return folder

    def commit(self, kind: str, key: str, payload: Path | None, meta: dict[str, Any]) -> None:
        """Publish an artifact: `payload` (a folder in the partial folder) and its description.

        Everything is on the disk before the artifact becomes visible. A process that finished the
        same artifact first wins; its copy is as good as ours.

        Raises:
            FullDisk: the disk is full.
        """
        partial = self.partial(kind, key)
        if self.remote is not None and self._fetched(kind, key, newly=True):
            shutil.rmtree(partial, ignore_errors=True)
            return
        staged = partial / f"commit-{os.getpid()}"
        try:
            if self.remote is not None:
                self._note(kind, key).touch()
            lay_out(staged, kind, key, payload, meta)
            sync_tree(staged)
            self._put_in_place(staged, kind, key)
        except OSError as error:
            if is_full(error):
                raise FullDisk(self.path(kind, key), tree_bytes(staged)) from error
            raise
        shutil.rmtree(partial, ignore_errors=True)
        self._publish(kind, key)

    def _put_in_place(self, staged: Path, kind: str, key: str) -> None:
        final = self.path(kind, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        replaced = staged.with_name(f"{staged.name}-replaced")
        if self.remote is not None and not _same_meta(staged, final):
            # other machines will use the store's copy: this one must not use another
            with contextlib.suppress(FileNotFoundError):
                final.rename(replaced)
        try:
            staged.rename(final)
        except OSError:
            if find_damage(final, kind, key):
                raise
        sync_folder(final.parent)
        shutil.rmtree(replaced, ignore_errors=True)

    def require_usable(self) -> None:
        """Make sure that the cache can be written, and publish what an earlier command could not.

        Raises:
            LampbenchError: the folder cannot be written, or the remote store cannot be used.
        """
        writable(self.root, "--cache-dir")
        if self.remote is not None:
            self.remote.require_usable()
            for note in sorted((self.root / UNPUBLISHED).glob("*/*")):
                self._publish(note.parent.name, note.name)

    def _publish(self, kind: str, key: str) -> None:
        if self.remote is None:
            return
        # what another machine published meanwhile may be in use already: it stays
        first = self.remote.meta(kind, key) is not None and self._fetched(kind, key, newly=True)
        if not first and self.has(kind, key):
            self.remote.publish(kind, key, self.path(kind, key))
        elif not first and (self.root / PARTIAL / kind / key).is_dir():
            return  # another process is about to finish it
        self._note(kind, key).unlink(missing_ok=True)

    def _note(self, kind: str, key: str) -> Path:
        note = self.root / UNPUBLISHED / kind / key
        note.parent.mkdir(parents=True, exist_ok=True)
        return note

    def _fetched(self, kind: str, key: str, *, newly: bool = False) -> bool:
        """Fetch an artifact from the remote store; whether it was there and sound.

        `newly` asks for what was published in this moment, too.

        Raises:
            FullDisk: the disk is full.
        """
        remote = self.remote
        if remote is None or not (newly or remote.may_have(kind, key)):
            return False
        staged = fetch_sound(remote, self.root / PARTIAL / kind, kind, key, self.say)
        if staged is None:
            return False
        with writing(staged):
            sync_tree(staged)
            self._put_in_place(staged, kind, key)
        shutil.rmtree(staged, ignore_errors=True)  # another thread was first
        self._sound.add((kind, key))
        return True

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
        folder = self.root / PARTIAL / kind / key
        # one by one: there may be a folder per user, and rmtree lists a folder before it begins
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)

    def drop_finished(self, kind: str, keys: Iterable[str]) -> None:
        """Delete what a process that was killed in `commit` left of artifacts that are finished.

        For whoever holds their lock.
        """
        for begun in {path.name for path in (self.root / PARTIAL / kind).glob("*")} & {*keys}:
            self.drop_partial(kind, begun)

    def drop_if_free(self, kind: str, keys: Iterable[str], lock: str) -> None:
        """As `drop_finished`, for whoever does not hold the lock; nothing while others hold it."""
        file = self.root / LOCKS / lock
        if any((self.root / PARTIAL / kind).glob("*")):
            with contextlib.suppress(Timeout, OSError), FileLock(file, 0):
                if not any_part_is_held(file):
                    self.drop_finished(kind, keys)

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


def _same_meta(one: Path, other: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return read_regular(one / META) == read_regular(other / META)
    return False
