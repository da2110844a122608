"""A cache's artifacts in an object store or on another file system that fsspec reaches.

An artifact is published as `<url>/<kind>/<key>/meta.json`, written last, beside its files, each
under the SHA-256 of its content. What is under such a name never changes: whoever reads a
`meta.json` finds the files that it describes, even while another process publishes the same
artifact.
"""

import contextlib
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from lampbench.execution.artifact_files import META
from lampbench.util.errors import LampbenchError

_FRESH = 2.0  # seconds for which a list of keys is believed, or longer where it takes long
_REFUSED = re.compile(r"credential|access ?key|signature|denied|forbidden|unauthori[sz]ed|40[13]\b",
                      re.IGNORECASE)  # fmt: skip

_UNFIT = TypeError, AttributeError, NotImplementedError
"""Errors of libraries that only read, or that need more than a URL; no network raises them."""
_READS_ONLY = re.compile(r"read.?only", re.IGNORECASE)


class RemoteStore:
    """Artifacts under a URL such as `s3://bucket/folder`.

    Credentials and options are those of fsspec and its library for the URL: environment variables
    such as AWS_ACCESS_KEY_ID or FSSPEC_S3_ENDPOINT_URL, or their configuration files.

    All functions raise a LampbenchError where the store cannot be reached, refuses the credentials,
    or its library is not installed.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        on_failure: Callable[[], object] = lambda: None,
    ) -> None:
        self.url = url.rstrip("/")
        self._clock = clock  # seconds
        self._on_failure = on_failure  # called before an error is raised
        self._lists: dict[str, tuple[set[str], float]] = {}

    @property
    def of_this_process(self) -> bool:
        """Whether no other process can see it: it is in this one's memory."""
        return self.url.partition("://")[0] == "memory"

    def require_library(self) -> None:
        """Make sure that fsspec has a library for the URL; asks no network."""
        _ = self._opened

    def require_usable(self) -> None:
        """Make sure that objects can be written, read and removed."""
        token = secrets.token_hex(8)
        try:
            with self.token(token):
                if self.read_token(token) != token:
                    raise LampbenchError(f"{self.url}: what is written there cannot be read again")
        except FileNotFoundError as error:
            raise LampbenchError(
                f"{self.url}: no such place ({_short(error)}); create it or correct --cache-dir"
            ) from error

    @contextlib.contextmanager
    def token(self, secret: str) -> Iterator[None]:
        """An object that others can look for with `read_token` meanwhile."""
        place = self._place(f".probe-{secret}")
        with self._told():
            self._files.pipe_file(place, secret.encode())
        try:
            yield
        finally:
            with self._told():
                self._files.rm_file(place)

    def read_token(self, secret: str) -> str | None:
        """The content of a token; None if there is none."""
        with contextlib.suppress(FileNotFoundError), self._told():
            content: bytes = self._files.cat_file(self._place(f".probe-{secret}"))
            return content.decode("ascii", "replace")
        return None

    def kinds(self) -> list[str]:
        """The kinds of artifacts that are there."""
        return sorted(self._names())

    def keys(self, kind: str) -> set[str]:
        """The keys of a kind's artifacts, also of those that are being published."""
        began = self._clock()
        found = self._names(kind)
        now = self._clock()
        self._lists[kind] = found, now + max(_FRESH, 10 * (now - began))
        return found

    def may_have(self, kind: str, key: str) -> bool:
        """Whether an artifact was there a moment ago: one request for many artifacts of a kind."""
        found, until = self._lists.get(kind, (set(), 0.0))
        if self._clock() >= until:
            found = self.keys(kind)
        return key in found

    def meta(self, kind: str, key: str) -> bytes | None:
        """An artifact's `meta.json`; None if it is not, or not completely, published."""
        with contextlib.suppress(FileNotFoundError), self._told():
            content: bytes = self._files.cat_file(self._place(kind, key, META))
            return content
        return None

    def fetch(self, kind: str, key: str, into: Path) -> bool:
        """Copy an artifact's files into an empty folder, unchecked; whether it is published."""
        content = self.meta(kind, key)
        if content is None:
            return False
        for name, digest in _described(content).items():
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError), self._told():  # the check names the file
                self._files.get_file(self._place(kind, key, digest), str(target))
        (into / META).write_bytes(content)
        return True

    def publish(self, kind: str, key: str, folder: Path) -> None:
        """Copy a finished artifact there; it is visible to others when all of it is there."""
        content = (folder / META).read_bytes()
        with self._told():
            for name, digest in _described(content).items():
                self._files.put_file(str(folder / name), self._place(kind, key, digest))
            self._files.pipe_file(self._place(kind, key, META), content)
        self._lists.pop(kind, None)

    def remove(self, kind: str, key: str) -> None:
        """Remove an artifact, if it is there: first what makes it visible."""
        self._lists.pop(kind, None)
        with contextlib.suppress(FileNotFoundError), self._told():
            self._files.rm_file(self._place(kind, key, META))
        with contextlib.suppress(FileNotFoundError), self._told():
            self._files.rm(self._place(kind, key), recursive=True)

    def _names(self, *parts: str) -> set[str]:
        place = self._place(*parts)
        with contextlib.suppress(FileNotFoundError), self._told():
            names = (PurePosixPath(path).name for path in self._files.ls(place, detail=False))
            return {name for name in names if not name.startswith(".")}
        return set()

    def _place(self, *parts: str) -> str:
        return "/".join((self._root, *parts))

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """The file system, and the path of the URL on it."""
        import fsspec

        scheme = self.url.partition("://")[0]
        options = {"auto_mkdir": True} if scheme in ("file", "local") else {}
        try:
            # no list of files is kept there: another process may publish at any time
            found = fsspec.core.url_to_fs(self.url, use_listings_cache=False, **options)
        except ImportError as error:
            raise LampbenchError(_without_library(scheme, error)) from error
        except Exception as error:
            if isinstance(error, ValueError) and "rotocol not known" in str(error):
                raise LampbenchError(
                    f"--cache-dir {self.url}: fsspec knows no scheme {scheme}://; correct it, or "
                    "install the fsspec library that adds it"
                ) from error
            raise self._failure(error) from error
        files, path = found
        return files, path.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn whatever a store's library raises into one line; a missing file passes."""
        try:
            yield
        except (FileNotFoundError, LampbenchError):
            raise
        except Exception as error:  # each library has errors of its own
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> LampbenchError:
        self._on_failure()
        told = f"{type(error).__name__}: {_short(error)}"
        if isinstance(error, PermissionError) or _REFUSED.search(told):
            return LampbenchError(
                f"{self.url}: the store refuses the credentials ({told}); give others, as its "
                "library reads them (s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY); finished "
                "work is kept here"
            )
        if isinstance(error, _UNFIT) or _READS_ONLY.search(told):
            return LampbenchError(
                f"--cache-dir {self.url}: fsspec's library for this scheme cannot keep a cache "
                f"there ({told}); choose another store, such as s3://bucket/folder"
            )
        return LampbenchError(
            f"{self.url}: the store cannot be reached ({told}); check the address and the network "
            "and run the same command again: finished work is kept here"
        )


def _described(meta: bytes) -> dict[str, str]:
    """The digests of the files that a `meta.json` describes; none if it is damaged.

    A name that leads out of the artifact's folder, or a digest that is none, counts as damage.
    """
    try:
        files = dict(json.loads(meta)["files"])
        for name, digest in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not re.fullmatch("[0-9a-f]{64}", digest):
                return {}
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    return files


def _without_library(scheme: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    module = known_implementations.get(scheme, {}).get("class", "").partition(".")[0]
    if module == "fsspec":  # its own code for a scheme imports another package, and names it
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        module = (cause.name or scheme).partition(".")[0]
        how = "install that package"
    elif module == "s3fs":
        how = "pip install 'lampbench[remote]'"
    else:
        how = f"pip install {module}"
    return (
        f"--cache-dir {scheme}://...: needs the package {module}, which cannot be imported "
        f"({_short(error)}): {how}"
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
