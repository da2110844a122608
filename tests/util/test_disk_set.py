import os
import sqlite3
import subprocess
import sys

import pytest

from lampbench.util.disk_set import DiskSet
from lampbench.util.errors import LampbenchError


def test_it_is_a_set():
    texts = DiskSet()
    assert all(texts.add(f"text {number}") for number in range(1000))
    assert not any(texts.add(f"text {number}") for number in range(500))
    assert len(texts) == 1000
    assert "text 999" in texts and "text 1000" not in texts


def test_names_of_files_that_are_not_utf_8_are_texts_too():
    texts, name = DiskSet(), os.fsdecode(b"\xff\xfe")
    assert name not in texts
    texts.add(name)
    assert name in texts and os.fsdecode(b"\xff") not in texts and len(texts) == 1


_GROWTH = """
from pathlib import Path
from lampbench.util.disk_set import DiskSet

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])

texts = DiskSet()
texts.add("")
before = resident()
for number in range(20_000):
    texts.add(f"{number:01000d}")
print(resident() - before)
assert len(texts) == 20_001
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_twenty_megabytes_of_texts_take_few_of_memory(root):
    command = [sys.executable, "-c", _GROWTH]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert int(done.stdout) < 8 * 1024, "KiB; 2 MiB are kept, as its docstring says"


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
