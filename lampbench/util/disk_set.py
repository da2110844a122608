"""A set of texts that does not have to fit into memory."""

import weakref

from lampbench.util.temporary_table import as_bytes, in_one_line, temporary_table


class DiskSet:
    """Texts, each once, in a temporary file, which is deleted with this object.

    Whatever its size it takes about 2 MiB of memory. Small sets never reach the disk.
    """

    def __init__(self) -> None:
        self._table = temporary_table("text BLOB PRIMARY KEY", "WITHOUT ROWID")
        weakref.finalize(self, self._table.close)

    def add(self, text: str) -> bool:
        """Add a text; whether it was not there before.

        Raises:
            LampbenchError: the disk of temporary files is full.
        """
        with in_one_line():
            done = self._table.execute("INSERT OR IGNORE INTO rows VALUES (?)", (as_bytes(text),))
            return done.rowcount == 1

    def __contains__(self, text: str) -> bool:
        with in_one_line():
            found = self._table.execute("SELECT 1 FROM rows WHERE text = ?", (as_bytes(text),))
            return found.fetchone() is not None

    def __len__(self) -> int:
        with in_one_line():
            count: int = self._table.execute("SELECT count(*) FROM rows").fetchone()[0]
            return count
