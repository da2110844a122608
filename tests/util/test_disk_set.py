import sqlite3

import pytest

from lampbench.util.disk_set import DiskSet
from lampbench.util.errors import LampbenchError


def test_it_is_a_set():
    texts = DiskSet()
    for number in (*range(1000), *range(500)):
        texts.add(f"text {number}")
    assert len(texts) == 1000
    assert "text 999" in texts and "text 1000" not in texts


def test_a_full_disk_is_one_line():
    texts = DiskSet()
    texts._table.execute("PRAGMA max_page_count = 4")
    with pytest.raises(LampbenchError, match=r"full.*free some space.*SQLITE_TMPDIR"):
        for number in range(10_000):
            texts.add(f"text {number}")


def test_its_file_is_closed_with_it():
    texts = DiskSet()
    table = texts._table
    del texts
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        table.execute("SELECT 1")
