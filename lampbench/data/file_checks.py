"""Refuse files that cannot be read as JSON in UTF-8, before any parser meets them."""

import mmap
import re
from pathlib import Path

from lampbench.util.errors import LampbenchError

BOM = b"\xef\xbb\xbf"

# An escaped pair of surrogates, or half of one.
_SURROGATE = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>[89a-fA-F][0-9a-fA-F]{2}))"
)


def check_file(path: Path) -> None:
    """Check that a path is a file that can be read and is not empty.

    Raises:
        LampbenchError: it is missing, a folder, unreadable or empty.
    """
    if path.is_dir():
        raise LampbenchError(f"{path}: is a folder; give a file")
    if not path.exists():
        raise LampbenchError(f"{path}: no such file; correct the path or put the file there")
    try:
        with path.open("rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        raise LampbenchError(
            f"{path}: cannot be read ({error.strerror}); make it readable"
        ) from None
    if empty:
        raise LampbenchError(f"{path}: is empty; download or write the file again")


def first_json_byte(path: Path) -> bytes:
    """`[` or `{`, whichever the JSON text of a file begins with.

    Raises:
        LampbenchError: as `check_file` and `check_json_start`, or the text begins otherwise.
    """
    check_file(path)
    with path.open("rb") as stream:
        start = stream.read(4096)
    check_json_start(path, start)
    text = start.removeprefix(BOM).lstrip()
    if text[:1] in (b"[", b"{"):
        return text[:1]
    shown = text[:20].decode("utf-8", "replace")
    raise LampbenchError(
        f"{path}: is not JSON in UTF-8 (it begins with {shown!r}); give a JSON file"
    )


def check_json_start(path: Path, start: bytes) -> None:
    """Refuse what is evidently not JSON in UTF-8, by the first bytes of a file.

    Raises:
        LampbenchError: an archive, another encoding, or an HTML page.
    """
    if start.startswith(b"\x1f\x8b"):
        raise LampbenchError(f"{path}: is compressed with gzip; unpack it first (gunzip)")
    if start.startswith(b"PK\x03\x04"):
        raise LampbenchError(f"{path}: is a zip archive, not JSON; unpack it first (unzip)")
    # JSON begins with two ASCII characters: in UTF-16 one byte of each is 0.
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[:2].count(0) == 1:
        raise LampbenchError(f"{path}: is UTF-16, not UTF-8; convert it (iconv -f UTF-16 -t UTF-8)")
    if start.removeprefix(BOM).lstrip().startswith(b"<"):
        raise LampbenchError(
            f"{path}: is an HTML page, not JSON; the download address was wrong, download it again"
        )


def check_escapes(path: Path) -> None:
    """Refuse escapes of half a character (a lone surrogate), which the parser would hide.

    Raises:
        LampbenchError: there is one; the message gives its byte.
    """
    check_file(path)
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        match = _SURROGATE.search(view)
        while match:
            start = match.start()
            written_out = _backslashes_before(view, start) % 2  # it is text, not an escape
            if match["lone"] and not written_out:
                raise LampbenchError(
                    f"{path}: byte {start}: {match[0].decode()} is a lone surrogate, half a "
                    "character; remove it or write the whole character"
                )
            match = _SURROGATE.search(view, start + 2 if written_out else match.end())


def _backslashes_before(view: mmap.mmap, place: int) -> int:
    count = 0
    while count < place and view[place - count - 1] == ord("\\"):
        count += 1
    return count
