"""Find and open data files; refuse what cannot be read as JSON in UTF-8 before it is parsed."""

import contextlib
import gzip
import stat
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from lampbench.util.errors import LampbenchError, NoDataForTask, short_repr

BOM = b"\xef\xbb\xbf"

_GZIP = b"\x1f\x8b"
_ARCHIVES = {
    b"PK\x03\x04": ("a zip archive, not JSON", "unzip"),
    b"BZh": ("compressed with bzip2", "bunzip2"),
    b"\xfd7zXZ": ("compressed with xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unzstd"),
}
_NO_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def find_file(folder: Path, name: str) -> Path | None:
    """The file of that name in a folder, or else that of the name and `.gz`; None without both.

    Raises:
        LampbenchError: both are there, the name is that of a broken link, a folder or a device, or
            the file is there under another spelling or ending (`Name.json`, `name.json.zip`).
    """
    there = names_in(folder)
    found = [one for one in (name, f"{name}.gz") if one in there]
    if len(found) == 2:
        raise LampbenchError(f"{folder / name}: is there with and without .gz; remove one of them")
    if found:
        check_regular(folder / found[0])
        return folder / found[0]
    stem = f"{name.partition('.')[0]}.".casefold()
    if alike := [one for one in there if one.casefold().startswith(stem)]:
        raise LampbenchError(
            f"{folder / alike[0]}: is not read under this name; unpack it or rename it to {name} "
            f"(or {name}.gz), or remove it"
        )
    return None


def find_folder(folder: Path, name: str) -> Path | None:
    """The folder of that name in a folder; None if there is none.

    Raises:
        LampbenchError: the name is that of a broken link or spelled in another case.
    """
    there = names_in(folder)
    if name in there:
        place = folder / name
        if place.is_symlink() and not place.exists():
            raise LampbenchError(_broken_link(place))
        return place if place.is_dir() else None
    for one in there:
        if one.casefold() == name.casefold() and (folder / one).is_dir():
            raise LampbenchError(
                f"{folder / one}: is not read under this name; rename it to {name}"
            )
    return None


def no_data(folder: Path, names: Iterable[str], message: str) -> LampbenchError:
    """The error for a source in which nothing of a task was found.

    It is a `NoDataForTask`, unless the source has a folder that is named after the task: then
    files are missing there.

    Raises:
        LampbenchError: a folder of that name is a broken link or spelled in another case.
    """
    if any(find_folder(folder, name) for name in names):
        return LampbenchError(message)
    return NoDataForTask(message)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none if it is no folder.

    Raises:
        LampbenchError: the folder cannot be read.
    """
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise LampbenchError(_unreadable(folder, error)) from error


def check_regular(path: Path) -> None:
    """Check that a path is a file, without opening it: opening a pipe would wait for ever.

    Raises:
        LampbenchError: it is missing, a broken link, a folder, a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise LampbenchError(_broken_link(path)) from None
        raise LampbenchError(
            f"{path}: no such file; correct the path or put the file there"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise LampbenchError(_unreadable(path, error)) from error
    for is_kind, what in _NO_FILES:
        if is_kind(mode):
            raise LampbenchError(f"{path}: is {what}; give a file")


def check_file(path: Path) -> None:
    """Check that a path is a file that can be read and is not empty.

    Raises:
        LampbenchError: as `open_data`.
    """
    with open_data(path):
        pass


@contextlib.contextmanager
def open_data(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file, which is unpacked while it is read if it was compressed with gzip.

    Raises:
        LampbenchError: as `check_regular`, the file is empty, or it cannot be read or unpacked.
    """
    check_regular(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_GZIP))
            if not start:
                raise LampbenchError(f"{path}: is empty; download or write the file again")
            stream.seek(0)
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=stream)) if start == _GZIP else stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise LampbenchError(f"{path}: cannot be unpacked ({error}); download it again") from None
    except OSError as error:
        raise LampbenchError(_unreadable(path, error)) from error


def first_json_byte(path: Path) -> bytes:
    """`[` or `{`, whichever the JSON text of a file begins with.

    Raises:
        LampbenchError: as `open_data` and `check_json_start`, or the text begins otherwise.
    """
    with open_data(path) as stream:
        start = stream.read(4096)
    check_json_start(path, start)
    text = start.removeprefix(BOM).lstrip()
    if text[:1] in (b"[", b"{"):
        return text[:1]
    shown = short_repr(text[:20].decode("utf-8", "replace"))
    raise LampbenchError(f"{path}: is not JSON in UTF-8 (it begins with {shown}); give a JSON file")


def check_json_start(path: Path, start: bytes) -> None:
    """Refuse what is evidently not JSON in UTF-8, by the first bytes of a file.

    Raises:
        LampbenchError: an archive, another encoding, or an HTML page.
    """
    for mark, (what, command) in _ARCHIVES.items():
        if start.startswith(mark):
            raise LampbenchError(f"{path}: is {what}; unpack it first ({command})")
    # JSON begins with two ASCII characters: in UTF-16 one byte of each is 0.
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[:2].count(0) == 1:
        raise LampbenchError(f"{path}: is UTF-16, not UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    if start.removeprefix(BOM).lstrip().startswith(b"<"):
        raise LampbenchError(
            f"{path}: is an HTML page, not JSON; the download address was wrong, download it again"
        )


def _broken_link(path: Path) -> str:
    where = short_repr(str(path.readlink()))
    return f"{path}: is a link to {where}, which is not there; correct it or download the file"


def _unreadable(path: Path, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"{path}: cannot be read ({reason}); make it readable"
