"""The local folder that belongs to a cache in a remote store.

`--cache-dir s3://bucket/folder` works in a folder on this machine, in which `remote.json` names the
store. Locks, journals and checkpoints stay there; finished artifacts are copied to and from the
store.
"""

import contextlib
import json
import os
import re
from pathlib import Path

from lampbench.execution.remote_store import RemoteStore
from lampbench.util.atomic import replace
from lampbench.util.defaults import REMOTE_CACHES
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.util.hashing import digest
from lampbench.util.regular_file import read_regular

_NOTE = "remote.json"
_LOCKS = "locks"  # every cache has it
_LONGEST = 300  # characters of a URL
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+")
_NAME = re.compile(r"[a-zA-Z0-9-]+-[0-9a-f]{8}")  # of a local folder
LOCAL_FOLDER = "LAMPBENCH_LOCAL_CACHE"
"""The environment variable that names the folder of all such local folders."""


def is_url(text: str) -> bool:
    """Whether a cache is named by a URL and not by a folder."""
    return "://" in text


def cache_folder(given: Path | str) -> Path:
    """The folder of a cache that is given as a folder or a URL; makes that of a URL.

    Raises:
        LampbenchError: it is no sensible URL, the library for it is not installed, or the folder
            cannot be written.
    """
    if not is_url(url := str(given)):
        return Path(given)
    if "@" in url or "?" in url:  # first: the other message shows the URL
        raise LampbenchError(
            "--cache-dir: a URL with a user name, password or token (with @ or ?) would be "
            "recorded with the runs; give credentials as the store's library reads them, such as "
            "in environment variables"
        )
    if len(url) > _LONGEST or not _URL.fullmatch(url) or "::" in url:
        raise LampbenchError(
            f"--cache-dir {short_repr(url)}: is no URL such as s3://bucket/folder; correct it"
        )
    url = url.rstrip("/")
    RemoteStore(url).require_library()
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", url)[:40]
    root = _parent() / f"{readable}-{digest(url, 8)}"
    try:
        (root / _LOCKS).mkdir(parents=True, exist_ok=True)
        if not (root / _NOTE).is_file():
            replace(root / _NOTE, json.dumps({"url": url}).encode())
    except OSError as error:
        raise LampbenchError(
            f"{root}: cannot be written ({error.strerror}); choose the folder of local copies with "
            f"the environment variable {LOCAL_FOLDER}"
        ) from error
    return root


def _parent() -> Path:
    """The folder of all local folders."""
    return Path(os.environ.get(LOCAL_FOLDER, REMOTE_CACHES))


def _remove_unused(root: Path) -> None:
    """Remove a local folder in which nothing was ever done: its store cannot be used."""
    with contextlib.suppress(OSError):
        if {path.name for path in root.iterdir()} <= {_LOCKS, _NOTE}:
            (root / _LOCKS).rmdir()  # fails where a process was or is at work
            (root / _NOTE).unlink()
            root.rmdir()


def store_of(root: Path) -> RemoteStore | None:
    """The store that a local folder belongs to; None where it is a cache of its own.

    Raises:
        LampbenchError: the note that names the store is damaged.
    """
    note = root / _NOTE
    if not note.exists():
        if root.parent == _parent() and _NAME.fullmatch(root.name):
            # another process found the store unusable and removed the folder at this moment
            raise LampbenchError(
                f"{root}: does not name the store of this cache any more; give the URL again with "
                "--cache-dir"
            )
        return None
    try:
        url = str(json.loads(read_regular(note))["url"])
        return RemoteStore(url, on_failure=lambda: _remove_unused(root))
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise LampbenchError(
            f"{note}: does not name the store of this cache; delete the file and give the URL "
            "again with --cache-dir"
        ) from error
