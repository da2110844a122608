"""Which installed distribution a file is of, by what its installer wrote into RECORD."""

from functools import cache
from pathlib import Path


@cache
def distribution_of(file: Path) -> Path | None:
    """The distribution that installed a file: the folder it is in, and its name in it.

    None for the user's own files, also those of editable installs. Versions do not tell
    distributions apart, since an upgrade may leave the `.dist-info` folder of the version before.
    """
    for folder in file.parents:
        line = f"\n{file.relative_to(folder).as_posix()},"
        for info, record in _records(folder):
            if line in record:
                return folder / info.name.removesuffix(".dist-info").rpartition("-")[0]
    return None


@cache
def _records(folder: Path) -> tuple[tuple[Path, str], ...]:
    """The distributions installed in a folder, each with the text of its RECORD."""
    listed = (info / "RECORD" for info in sorted(folder.glob("*.dist-info")))
    return tuple(
        (file.parent, "\n" + file.read_text(encoding="utf-8")) for file in listed if file.is_file()
    )
