"""Fetching an artifact from a remote store, checked against its digests."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from lampbench.execution.artifact_files import find_damage
from lampbench.execution.remote_store import RemoteStore
from lampbench.util.disk import writing


def fetch_sound(
    remote: RemoteStore, parent: Path, kind: str, key: str, say: Callable[[str], object]
) -> Path | None:
    """A copy of an artifact, in a folder of its own in `parent`; None if there is no sound one.

    One that is not what was written is fetched once more, and then removed from the store.

    Raises:
        FullDisk: the disk is full.
        LampbenchError: the store cannot be used.
    """
    # another thread of this process may fetch it, too
    staged = parent / f"{key}.fetch-{os.getpid()}-{secrets.token_hex(4)}"
    damage = ""
    for _ in range(2):
        shutil.rmtree(staged, ignore_errors=True)
        with writing(staged):
            staged.mkdir(parents=True)
            if not remote.fetch(kind, key, staged):
                staged.rmdir()
                return None
            damage = find_damage(staged, kind, key)
            if not damage:
                return staged
    shutil.rmtree(staged, ignore_errors=True)
    remote.remove(kind, key)
    say(f"damaged artifact: {remote.url}/{kind}/{key}: {damage}; removed, made again")
    return None
