"""Removing a user from the cache, on request."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lampbench.engine.packaged_model import KIND as MODEL
from lampbench.execution.cache import DAMAGED, PARTIAL
from lampbench.execution.cache_contents import Artifact, artifacts, folders
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.partial_work import partial_work
from lampbench.execution.remote_folder import store_of
from lampbench.execution.remote_store import RemoteStore
from lampbench.execution.work_owner import WorkOwner
from lampbench.util.hashing import digest


def forget_in_cache(root: Path, user: str) -> tuple[list[str], list[str]]:
    """Delete a user's adapters, profiles, sampled answers, journals and checkpoints from a cache,
    and from the remote store that it belongs to.

    Unfinished work that does not say whose it is, because an earlier version began it, is deleted
    too.

    Returns:
        What was deleted, and what may still hold the user's texts, one line each.

    Raises:
        OSError: a folder cannot be deleted.
    """
    removed: list[str] = []
    left: list[str] = []
    shared = 0
    for artifact in artifacts(root):
        meta = artifact.description()
        if meta.get("owner") == user or user in meta.get("others", ()) or _of_nobody_known(meta):
            shutil.rmtree(artifact.folder)
            removed.append(f"{artifact.folder}: {artifact.kind} of {meta.get('task')}")
        elif not meta:
            left.append(f"{artifact.folder}: cannot be read; `lampbench cache verify` names it")
        else:
            whole = artifact.kind == MODEL and "merged" not in meta
            shared += meta.get("owner") is None and not whole
    if (store := store_of(root)) is not None:
        removed += _forget_published(store, user, left)
        left.append(
            f"{store.url}: other machines that used this store keep copies in folders of their own "
            "(LAMPBENCH_LOCAL_CACHE); give the same command there, too"
        )
    removed += _forget_damaged(root, user, left)
    removed += _forget_partial(root, user, left)
    if shared:
        left.append(
            f"{root}: {shared} artifacts that a whole task shares, such as its adapter; where this "
            "user was among the training users, delete them, and train on data without the user"
        )
    return removed, left


def _of_nobody_known(meta: Mapping[str, Any]) -> bool:
    """Whether it is a model with adapters merged into it that does not say whose they are, because
    an earlier version made it.
    """
    return "merged" in meta and "others" not in meta


def _forget_published(store: RemoteStore, user: str, left: list[str]) -> Iterator[str]:
    for kind in store.kinds():
        for key in sorted(store.keys(kind)):
            content = store.meta(kind, key)
            try:
                meta = json.loads(content or b"")
                whose = {meta["owner"], *meta.get("others", ())}
            except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
                left.append(f"{store.url}/{kind}/{key}: does not say whose it is; look at it")
                continue
            if user in whose or _of_nobody_known(meta):
                store.remove(kind, key)
                yield f"{store.url}/{kind}/{key}: {kind} of {meta.get('task')}"


def _forget_damaged(root: Path, user: str, left: list[str]) -> Iterator[str]:
    for name in folders(root / DAMAGED):
        meta = Artifact(DAMAGED, name, root / DAMAGED / name).description()
        # of a damaged artifact nothing is certain, not even whose it is
        if meta.get("owner") in (user, None):
            shutil.rmtree(root / DAMAGED / name)
            yield f"{root / DAMAGED / name}: a damaged artifact"


def _forget_partial(root: Path, user: str, left: list[str]) -> Iterator[str]:
    """Unfinished work: the user's, and what may be, since nothing says whose it is."""
    shared = 0
    for work in list(partial_work(root)):
        owner = work.owner
        if owner == WorkOwner(None):
            shared += 1
            continue
        if owner == WorkOwner(user) or work.is_journal_of(user):
            what = "answers of an unfinished run" if work.kind == PREDICTIONS else "unfinished"
        elif owner is None and work.kind == PREDICTIONS:
            if work.folder.name != digest(user):
                continue
            what = "answers of an unfinished run"
        elif owner is None and work.journal is None:
            what = "unfinished work that does not say whose it is:"
        else:
            continue
        shutil.rmtree(work.folder)
        yield f"{work.folder}: {what}" + ("" if work.kind == PREDICTIONS else f" {work.kind}")
    if shared:
        left.append(
            f"{root / PARTIAL}: {shared} unfinished trainings of a whole task; where this user was "
            "among the training users, delete them, and train on data without the user"
        )
