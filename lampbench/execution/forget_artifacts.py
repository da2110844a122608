"""Removing a user from the cache, on request."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from lampbench.engine.packaged_model import KIND as MODEL
from lampbench.execution.cache import DAMAGED, PARTIAL
from lampbench.execution.cache_contents import Artifact, artifacts, folders
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.journal import JOURNAL, written_for
from lampbench.util.hashing import digest


def forget_in_cache(root: Path, user: str) -> tuple[list[str], list[str]]:
    """Delete a user's adapters, profiles, sampled answers and journals from a cache.

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
        if meta.get("owner") == user:
            shutil.rmtree(artifact.folder)
            removed.append(f"{artifact.folder}: {artifact.kind} of {meta.get('task')}")
        elif not meta:
            left.append(f"{artifact.folder}: cannot be read; `lampbench cache verify` names it")
        else:
            shared += meta.get("owner") is None and artifact.kind != MODEL
    removed += _forget_damaged(root, user, left)
    removed += _forget_partial(root, user, left)
    if shared:
        left.append(
            f"{root}: {shared} artifacts that a whole task shares, such as its adapter; where this "
            "user was among the training users, delete them, and train on data without the user"
        )
    return removed, left


def _forget_damaged(root: Path, user: str, left: list[str]) -> Iterator[str]:
    for name in folders(root / DAMAGED):
        meta = Artifact(DAMAGED, name, root / DAMAGED / name).description()
        # of a damaged artifact nothing is certain, not even whose it is
        if meta.get("owner") in (user, None):
            shutil.rmtree(root / DAMAGED / name)
            yield f"{root / DAMAGED / name}: a damaged artifact"


def _forget_partial(root: Path, user: str, left: list[str]) -> Iterator[str]:
    """Unfinished work: journals say whose it is, checkpoints alone do not."""
    unknown = 0
    for kind in folders(root / PARTIAL):
        for key in folders(root / PARTIAL / kind):
            folder = root / PARTIAL / kind / key
            if kind == PREDICTIONS:
                mine = folder / digest(user)
                if mine.is_dir():
                    shutil.rmtree(mine)
                    yield f"{mine}: answers of an unfinished run"
            elif (folder / JOURNAL).is_file():
                owner = f"{user} {folder.relative_to(root).as_posix()}"
                if written_for(folder / JOURNAL, owner):
                    shutil.rmtree(folder)
                    yield f"{folder}: unfinished {kind}"
            else:
                unknown += 1
    if unknown:
        left.append(
            f"{root / PARTIAL}: {unknown} folders of unfinished training, which do not say whose "
            "they are; finish the runs and forget the user again, or `lampbench cache gc`"
        )
