"""Opening a recorded file; what is wrong with it is one line that names it."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from lampbench.util.regular_file import open_regular


@contextmanager
def open_recorded(file: Path) -> Iterator[BufferedReader]:
    """A recorded file, open for reading.

    Raises:
        ValueError: it is missing, no ordinary file, or cannot be read.
    """
    if not file.is_file():
        raise ValueError(f"{file.name} is missing")
    try:
        with open_regular(file) as stream:
            yield stream
    except OSError as error:
        raise ValueError(f"{file.name} cannot be read ({error.strerror or error})") from error
