"""The files of one artifact, and the `meta.json` that describes them with their digests."""

import json
import shutil
from pathlib import Path
from typing import Any

from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, file_digest
from lampbench.util.regular_file import read_regular

META = "meta.json"


def lay_out(folder: Path, kind: str, key: str, payload: Path | None, meta: dict[str, Any]) -> None:
    """Make a folder that is a whole artifact: `payload` moved into it, and its description.

    Raises:
        OSError: the folder cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if payload is not None:
        payload.rename(folder / payload.name)
    write_meta(folder, kind, key, meta)


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


def unreadable(file: Path, error: OSError) -> LampbenchError:
    """The error for a file that the system refuses to read."""
    return LampbenchError(f"{file}: cannot be read ({error.strerror}); check its permissions")
