"""Which installed distribution a file is of, by what its installer wrote into RECORD."""

from functools import cache
from pathlib import Path


@cache
def distribution_of(file: Path) -> Path | None:
    """The `.dist-info` folder of the distribution that installed a file.

    None for the user's own files, also those of editable installs.
    """
    for folder in file.parents:
        line = f"\n{file.relative_to(folder).as_posix()},"
        for info, record in _records(folder):
            if line in record:
                return info
    return None


@cache
def _records(folder: Path) -> tuple[tuple[Path, str], ...]:
    """The distributions installed in a folder, each with the text of its RECORD."""
    listed = (info / "RECORD" for info in sorted(folder.glob("*.dist-info")))
    return tuple(
        (file.parent, "\n" + file.read_text(encoding="utf-8")) for file in listed if file.is_file()
    )
