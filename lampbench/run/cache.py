"""The cache of artifacts on disk. An artifact's folder exists only when it is complete."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from lampbench.util.errors import LampbenchError


class Cache:
    """Artifacts under `root/<kind>/<key>/`, each with a `meta.json` that says what it is.

    Work in progress lives under `root/partial/<kind>/<key>/` and survives a kill: checkpoints and
    journals found there are resumed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Create the cache's folder, so that an unwritable one is reported at once."""
        writable(self.root, "--cache-dir")

    def path(self, kind: str, key: str) -> Path:
        """The folder of a finished artifact, whether or not it exists yet."""
        return self.root / kind / key

    def has(self, kind: str, key: str) -> bool:
        """Whether it is finished."""
        return (self.path(kind, key) / "meta.json").is_file()

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes from making the same artifacts; waits while one does."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / name):
            yield

    def partial(self, kind: str, key: str) -> Path:
        """A folder for the work on an artifact, kept until `commit`."""
        folder = self.root / "partial" / kind / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def commit(self, kind: str, key: str, payload: Path | None, meta: dict[str, Any]) -> None:
        """Publish an artifact: `payload` (a folder in the partial folder) and its description.

        A process that finished the same artifact first wins; its copy is as good as ours.
        """
        partial = self.partial(kind, key)
        staged = partial / f"commit-{os.getpid()}"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        if payload is not None:
            payload.rename(staged / payload.name)
        write_json(staged / "meta.json", meta)
        final = self.path(kind, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.rename(final)
        except OSError:
            if not self.has(kind, key):
                raise
        shutil.rmtree(partial, ignore_errors=True)

    def meta(self, kind: str, key: str) -> dict[str, Any]:
        """The description of a finished artifact."""
        file = self.path(kind, key) / "meta.json"
        try:
            meta: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LampbenchError(
                f"{file}: damaged ({error}); delete the folder {file.parent} to have it made again"
            ) from error
        return meta

    def drop_partial(self, kind: str, key: str) -> None:
        """Delete what was begun under a key."""
        shutil.rmtree(self.root / "partial" / kind / key, ignore_errors=True)


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


def write_json(path: Path, value: Any) -> None:
    """Write JSON and make sure that it is on the disk."""
    with path.open("w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1, sort_keys=True, ensure_ascii=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
