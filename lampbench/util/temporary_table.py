"""Temporary tables of SQLite's, for what does not have to fit into memory."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator

from lampbench.util.errors import LampbenchError

_CACHED = 2_048  # KiB of a table that are kept in memory


def temporary_table(columns: str, options: str = "") -> sqlite3.Connection:
    """A database with one table, `rows`; whoever asks for it closes it.

    Whatever its size it takes about 2 MiB of memory. A small one never reaches the disk. The file
    is made in SQLITE_TMPDIR, TMPDIR or /tmp; no other process sees it, and the system removes it.
    """
    table = sqlite3.connect("", isolation_level=None)
    for setting in (f"cache_size = -{_CACHED}", "journal_mode = OFF", "synchronous = OFF"):
        table.execute(f"PRAGMA {setting}")
    table.execute(f"CREATE TABLE rows ({columns}) {options}")
    return table


def as_bytes(text: str) -> bytes:
    """Text as bytes in the order of Python's: SQLite refuses surrogates, as in names of files."""
    return text.encode("utf-8", "surrogatepass")


def count_repeated(keys: Iterable[int]) -> int:
    """How many of some whole numbers of 64 bits are there more than once.

    Raises:
        LampbenchError: the disk of temporary files is full.
    """
    with in_one_line(), contextlib.closing(temporary_table("key INTEGER")) as table:
        table.execute("BEGIN")
        table.executemany("INSERT INTO rows VALUES (?)", ((key,) for key in keys))
        groups = "SELECT count(*) AS times FROM rows GROUP BY key HAVING times > 1"
        found: int = table.execute(f"SELECT total(times) FROM ({groups})").fetchone()[0]
        return int(found)


@contextlib.contextmanager
def in_one_line() -> Iterator[None]:
    """Turn what SQLite says of a full disk into an error of one line.

    Raises:
        LampbenchError: a temporary file cannot be used.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LampbenchError(
            f"a temporary file of SQLite cannot be used ({error}); free some space where temporary "
            "files are, or name another folder in the environment variable SQLITE_TMPDIR"
        ) from error
