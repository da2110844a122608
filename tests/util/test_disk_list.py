"""A list on disk has what was put in, in order, with little memory."""

import errno
import gc
import io
import sys
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from lampbench.util.disk import FullDisk, close_with
from lampbench.util.disk_list import DiskList

ITEMS = [(f"item {n} \ud800", "x" * (n % 97), n / 7, n % 3 == 0, None) for n in range(3_000)]


def listed(items=ITEMS):
    return DiskList(items)


@pytest.mark.parametrize("count", [0, 1, 999, 1_000, 1_001, 3_000])
def test_it_is_a_list(count):
    items = ITEMS[:count]
    found = listed(items)
    assert len(found) == count and bool(found) == bool(items)
    assert list(found) == items == list(found)
    assert [found[place] for place in range(0, count, 41)] == items[::41]
    assert list(found[10:700]) == items[10:700] and list(found[10:700][5:-5]) == items[10:700][5:-5]
    assert list(found[::-3]) == items[::-3]
    with pytest.raises(IndexError):
        found[count]


def test_items_that_are_not_on_the_disk_yet_are_read_too():
    found = listed(ITEMS[:0])
    for place, item in enumerate(ITEMS):
        found.append(item)
        assert found[-1] == item and found[place // 2] == ITEMS[place // 2]


def test_items_are_made_again_of_what_was_kept():
    found = DiskList(ITEMS, plain=lambda item: item[1:], made=lambda kept: ("made", *kept))
    assert list(found)[:2_999] == [("made", *item[1:]) for item in ITEMS][:2_999]


def test_a_slice_is_read_only():
    with pytest.raises(TypeError, match="slice"):
        listed()[1:2].append(ITEMS[0])


def test_threads_may_read_at_once():
    found = listed()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(found.__getitem__, range(0, 3_000, 7))) == ITEMS[::7]


def test_few_items_make_no_file(monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    assert list(listed(ITEMS[:999])) == ITEMS[:999]


def test_memory_does_not_grow_with_it():
    tracemalloc.start()
    found = listed(f"{n:0100d}" for n in range(200_000))
    assert sum(map(len, found)) == 20_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_full_disk_is_one_line(monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(FullDisk, match=f"{tempfile.gettempdir()}: the disk is full"):
        listed()


def test_a_file_that_the_disk_does_not_take_is_closed_in_silence(monkeypatch):
    class Full(io.BytesIO):
        def close(self):
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    class Owner:
        pass

    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    owner, stream = Owner(), Full()
    close_with(owner, stream)
    del owner
    gc.collect()
    assert stream.closed and not told
