"""Generated pages as files: which of them are out of date, and writing those."""

from collections.abc import Mapping
from pathlib import Path

from lampbench.util.atomic import replace
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.regular_file import read_regular

EXTRA = "no table has this name; delete it"


def outdated(pages: Mapping[Path, str], folder: Path) -> dict[Path, str]:
    """Why a page is out of date, by path, in order; also for Markdown files that should not exist.

    `folder` is the one that holds generated pages only.

    Raises:
        LampbenchError: a file cannot be read.
    """
    found = {}
    for path, text in pages.items():
        if reason := _difference(path, text.encode("utf-8")):
            found[path] = reason
    extra = [path for path in sorted(folder.glob("*.md")) if path not in pages]
    return found | dict.fromkeys(extra, EXTRA)


def write_pages(pages: Mapping[Path, str], folder: Path) -> tuple[list[Path], list[Path]]:
    """Write the pages that are out of date; which were written, and which files should not exist.

    Raises:
        LampbenchError: the disk refuses.
    """
    stale = outdated(pages, folder)
    written = [path for path in stale if path in pages]
    for path in written:
        try:
            with writing(path):
                path.parent.mkdir(exist_ok=True)
            replace(path, pages[path].encode("utf-8"))
        except OSError as error:
            raise LampbenchError(f"{path}: cannot be written ({error.strerror})") from error
    return written, [path for path in stale if path not in pages]


def _difference(path: Path, wanted: bytes) -> str | None:
    try:
        found = read_regular(path)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        raise LampbenchError(f"{path}: cannot be read ({error.strerror})") from error
    if found == wanted:
        return None
    old, new = found.splitlines(), wanted.splitlines()
    same = (i for i, (a, b) in enumerate(zip(old, new, strict=False), start=1) if a != b)
    return f"out of date from line {next(same, min(len(old), len(new)) + 1)}"
