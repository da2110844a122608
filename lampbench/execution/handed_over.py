"""Artifacts that are made anew under the same key, such as the answers of a shard under --force.

With a cache in a remote store, the store has the only copy of them: one that stayed on a machine
would outlive what another machine removes or replaces there.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lampbench.execution.artifact_files import lay_out
from lampbench.execution.cache import PARTIAL, Cache
from lampbench.execution.fetch_artifact import fetch_sound
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError


def hand_over(cache: Cache, kind: str, key: str, payload: Path, meta: dict[str, Any]) -> None:
    """As `Cache.commit`; in a remote store it replaces what is there, and no copy is kept here.

    Raises:
        FullDisk: the disk is full.
        LampbenchError: the remote store cannot be used.
    """
    if cache.remote is None:
        cache.commit(kind, key, payload, meta)
        return
    staged = cache.partial(kind, key) / f"commit-{os.getpid()}"
    with writing(staged):
        lay_out(staged, kind, key, payload, meta)
    cache.remote.publish(kind, key, staged)
    cache.drop_partial(kind, key)


@contextlib.contextmanager
def handed_over(cache: Cache, kind: str, key: str) -> Iterator[Path]:
    """The folder of what was handed over; a copy of the remote store's is deleted afterwards.

    Raises:
        FullDisk: the disk is full.
        LampbenchError: it is damaged, or there is none; the remote store cannot be used.
    """
    remote = cache.remote
    place = cache.path(kind, key) if remote is None else f"{remote.url}/{kind}/{key}"
    if remote is None:
        found = cache.path(kind, key) if cache.has(kind, key) else None
    else:
        found = fetch_sound(remote, cache.root / PARTIAL / kind, kind, key, cache.say)
    if found is None:
        raise LampbenchError(f"{place}: no sound artifact; run the same command again")
    try:
        yield found
    finally:
        if remote is not None:
            shutil.rmtree(found, ignore_errors=True)
