"""A format that the harness reads: sound files to begin with, and what reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutated_content, mutated_file

Files = dict[str, bytes]
"""Content of files by their path in a folder."""


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
        named: whether a refusal must name the folder.
    """

    name: str
    make: Callable[[], Files]
    read: Callable[[Path], object]
    change: Callable[[Random, Path, Mapping[str, bytes]], None] = change_files
    named: bool = True
