"""A format that the harness reads: sound files to begin with, and what reads them."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated_content, mutated_file

Files = dict[str, bytes]
"""Content of files by their path in a folder."""


class SoundFolder:
    """A folder that holds some files and no others, whenever it is restored."""

    def __init__(self, place: Path, files: Files) -> None:
        self.files = files
        self._place = str(place)
        self._stamps: dict[str, tuple[int, int, int]] = {}

    def restore(self) -> None:
        """Write what was changed or removed, and remove what is new."""
        left = set(self._clean(self._place, ""))
        for name, content in self.files.items():
            if name not in left:
                file = Path(self._place, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                self._stamps[name] = _stamp(file.lstat())

    def _clean(self, folder: str, prefix: str) -> Iterator[str]:
        """The names of the files that are as they were written, all others removed."""
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if any(one.startswith(f"{name}/") for one in self.files):
                        yield from self._clean(entry.path, f"{name}/")
                    else:
                        shutil.rmtree(entry.path)
                elif self._stamps.get(name) == _stamp(entry.stat(follow_symlinks=False)):
                    yield name
                else:
                    os.unlink(entry.path)  # noqa: PTH108 (hundreds of thousands of times)


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mtime_ns, found.st_size, found.st_ino


def change_files(random: Random, folder: Path, files: Mapping[str, bytes]) -> None:
    """Change one or two of the files in a folder, or put something else in the place of one."""
    for _ in range(random.choice((1, 1, 1, 2))):
        name = random.choice(sorted(files))
        file = folder / name
        if random.random() < 0.08:
            if file.is_file() and not file.is_symlink():
                mutated_file(random, file)
        elif file.is_file() and not file.is_symlink():
            file.write_bytes(mutated_content(random, name, files[name]))


@dataclass(frozen=True)
class Format:
    """What is read.

    Attributes:
        name: the format's name in the campaign's record.
        make: sound files.
        read: reads the files in a folder; raises LampbenchError for what is refused, and
            AssertionError where it took something for sound that is not.
        change: changes the files in a folder.
        named: whether a refusal must name the folder, and after a semicolon what to do. What
            names an option instead is read by people.
    """

    name: str
    make: Callable[[], Files]
    read: Callable[[Path], object]
    change: Callable[[Random, Path, Mapping[str, bytes]], None] = change_files
    named: bool = True
