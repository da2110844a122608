"""A disk that is full at any moment: one line, finished work kept, and the same command resumes."""

import builtins
import errno
import io
import os
import re
from pathlib import Path

import pytest

from lampbench.study import disk_space
from lampbench.util import disk

POINTS = 40
RUN = ("run", "--method", "cope", "--task", "news_headline", "--users", "2")
MESSAGE = re.compile(
    r"error: \S.*: the disk is full \((\d[\d,]* bytes needed, )?\d[\d,]* bytes free\); free some "
    r"space and run the same command again: finished work is kept"
)


class FullDisk:
    """Makes the n-th operation that needs space on the disk fail, and all after it."""

    def __init__(self, monkeypatch, root):
        self.count, self.limit = 0, None
        self.root = str(root)
        for module, name in ((os, "mkdir"), (os, "rename"), (os, "replace"), (os, "fsync")):
            real = getattr(module, name)
            monkeypatch.setattr(module, name, self.wrap(real))
        opened = io.open

        def open_(file, mode="r", *more, **options):
            inside = isinstance(file, (str, Path)) and self.root in str(Path(file).absolute())
            if not inside or not set(mode) & set("wax+"):
                return opened(file, mode, *more, **options)
            self.spend(f"open {file}", str(file))
            return Writer(opened(file, mode, *more, **options), self)

        monkeypatch.setattr(io, "open", open_)
        monkeypatch.setattr(builtins, "open", open_)

    def wrap(self, real):
        def call(*arguments, **options):
            names = [os.fspath(one) for one in arguments if isinstance(one, (str, Path))]
            if not names or any(self.root in str(Path(name).absolute()) for name in names):
                self.spend(real.__name__, names[0] if names else None)
            return real(*arguments, **options)

        return call

    def spend(self, what, name=None):
        self.count += 1
        if self.limit is not None and self.count > self.limit:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


class Writer:
    """A file whose writes need space."""

    def __init__(self, stream, full):
        self._stream, self._full = stream, full

    def write(self, data):
        self._full.spend("write")
        return self._stream.write(data)

    def __enter__(self):
        self._stream.__enter__()
        return self

    def __exit__(self, *error):
        return self._stream.__exit__(*error)

    def __iter__(self):
        return iter(self._stream)

    def __getattr__(self, name):
        return getattr(self._stream, name)


@pytest.fixture
def full_disk(monkeypatch, tmp_path):
    return FullDisk(monkeypatch, tmp_path)


def answers(folder):
    files = sorted(folder.rglob("*.gz"))
    assert len(files) >= 4
    return {file.relative_to(folder): file.read_bytes() for file in files}


def test_a_disk_that_is_full_at_any_moment_of_a_run(call, on_fake_engine, full_disk, tmp_path):
    code, _, err = call(*RUN, "--results", "whole", "--cache-dir", "first")
    assert code == 0, err
    total = full_disk.count
    expected = answers(tmp_path / "whole")
    assert total > 2 * POINTS
    jobs = len(on_fake_engine.trained)
    for point in range(POINTS):
        on_fake_engine.trained.clear()
        full_disk.count, full_disk.limit = 0, point * total // POINTS
        here = ("--results", f"results{point}", "--cache-dir", f"cache{point}")
        code, _, err = call(*RUN, *here)
        last = err.splitlines()[-1]
        assert code == 2 and MESSAGE.fullmatch(last), (point, code, err)
        assert f"{point}" in last
        full_disk.limit = None
        code, _, err = call(*RUN, *here)
        assert code == 0, (point, err)
        assert answers(tmp_path / f"results{point}") == expected, point
        again = len(on_fake_engine.trained) - jobs
        assert again <= 1, "all adapters but the one under way were kept"


def test_a_user_over_the_quota_is_told_the_same(tmp_path):
    said = r"x: the disk is full \(1,234 bytes needed, "
    with pytest.raises(disk.FullDisk, match=said), disk.writing(tmp_path / "x", 1234):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(PermissionError), disk.writing(tmp_path / "x"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_run_that_cannot_fit_is_refused_before_it_begins(call, on_fake_engine, monkeypatch):
    monkeypatch.setattr(disk_space, "free_disk_bytes", lambda _: 1000)
    code, _, err = call(*RUN)
    assert code == 2
    assert re.fullmatch(
        r"error: \.lampbench/cache: the disk is too small: these runs will store about [\d,]+ "
        r"bytes, 1,000 are free; free some space, choose another folder with --cache-dir, or run "
        r"fewer users",
        err.splitlines()[-1],
    )
    assert not on_fake_engine.trained


def test_what_is_stored_already_needs_no_space(call, on_fake_engine, monkeypatch):
    assert call(*RUN, "--results", "one")[0] == 0
    monkeypatch.setattr(disk_space, "free_disk_bytes", lambda _: 1000)
    code, _, err = call(*RUN, "--results", "two")
    assert code == 0, err
