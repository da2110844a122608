"""A set of texts that does not have to fit into memory."""

import contextlib
import sqlite3
import weakref
from collections.abc import Iterator

from lampbench.util.errors import LampbenchError

_CACHED = 2_048  # KiB of the set that are kept in memory


class DiskSet:
    """Texts, each once, in a temporary file of SQLite's, which is deleted with this object.

    Whatever its size it takes about 2 MiB of memory. Small sets never reach the disk. The file is
    made in SQLITE_TMPDIR, TMPDIR or /tmp.
    """

    def __init__(self) -> None:
        # no name: a file that no other process sees and that the system removes
        self._table = sqlite3.connect("", isolation_level=None)
        weakref.finalize(self, self._table.close)
        for setting in (f"cache_size = -{_CACHED}", "journal_mode = OFF", "synchronous = OFF"):
            self._table.execute(f"PRAGMA {setting}")
        self._table.execute("CREATE TABLE texts (text BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, text: str) -> None:
        """Add a text.

        Raises:
            LampbenchError: the disk of temporary files is full.
        """
        with _one_line():
            self._table.execute("INSERT OR IGNORE INTO texts VALUES (?)", (_bytes(text),))

    def __contains__(self, text: str) -> bool:
        with _one_line():
            found = self._table.execute("SELECT 1 FROM texts WHERE text = ?", (_bytes(text),))
            return found.fetchone() is not None

    def __len__(self) -> int:
        with _one_line():
            count: int = self._table.execute("SELECT count(*) FROM texts").fetchone()[0]
            return count


def _bytes(text: str) -> bytes:
    """The text as bytes: a file's name that is not UTF-8 has surrogates, which SQLite refuses."""
    return text.encode("utf-8", "surrogatepass")


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LampbenchError(
            f"a temporary file of SQLite cannot be used ({error}); free some space where temporary "
            "files are, or name another folder in the environment variable SQLITE_TMPDIR"
        ) from error
