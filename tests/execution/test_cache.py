"""What the cache holds is what was put there, or it is made again."""

import errno
import os
import shutil

import pytest

from lampbench.execution.artifact_files import META
from lampbench.execution.cache import Cache
from lampbench.execution.journal import Journal
from lampbench.execution.runner import execute
from lampbench.record.recorded_run import read_run
from lampbench.util.errors import LampbenchError


@pytest.fixture
def said():
    return []


@pytest.fixture
def cache(tmp_path, said):
    return Cache(tmp_path / "cache", said.append)


def put(cache, key="k1", text="weights", value=0):
    payload = cache.partial("kind", key) / "adapter"
    payload.mkdir(exist_ok=True)
    (payload / "weights.bin").write_text(text)
    (payload / "config.json").write_text("{}")
    cache.commit("kind", key, payload, {"value": value})


def reread(cache):
    """As another process sees it."""
    return Cache(cache.root, cache.say)


def flip(file, bit):
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def test_what_was_put_is_there(cache, said):
    put(cache, value={"texts": ["é", 1.5]})
    again = reread(cache)
    assert again.has("kind", "k1") and again.meta("kind", "k1")["value"] == {"texts": ["é", 1.5]}
    assert not again.has("kind", "k2") and said == []


@pytest.mark.parametrize("name", ["adapter/weights.bin", "adapter/config.json", META])
def test_one_flipped_bit_anywhere_is_found(cache, said, name):
    put(cache)
    size = (cache.path("kind", "k1") / name).stat().st_size
    for bit in range(0, size * 8, 7):
        put(cache)
        flip(cache.path("kind", "k1") / name, bit)
        assert not reread(cache).has("kind", "k1"), bit
        assert not cache.path("kind", "k1").exists()
        assert "damaged artifact" in said[-1] and "made again" in said[-1]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "adapter/weights.bin").unlink(), "weights.bin is missing"),
        (lambda folder: (folder / "adapter/extra").write_text("x"), "extra does not belong"),
        (lambda folder: (folder / META).unlink(), "meta.json is missing"),
        (lambda folder: (folder / META).write_text("[" * 100_000), "not what was written"),
        (lambda folder: (folder / META).write_text("[]"), "not what was written"),
        (lambda folder: (folder / META).write_text("{}"), "not what was written"),
    ],
)
def test_damage_is_named_and_kept_aside(cache, said, harm, reason):
    put(cache)
    harm(cache.path("kind", "k1"))
    assert not reread(cache).has("kind", "k1")
    assert reason in said[0]
    put(cache)
    assert reread(cache).has("kind", "k1"), "made again in its own place"
    assert (cache.root / "damaged" / "kind-k1").is_dir()


def test_a_description_in_another_encoding_is_read_or_found(cache):
    """Found by the fuzzer: it was sound for the check, and an error for the reader."""
    put(cache)
    file = cache.path("kind", "k1") / META
    text = file.read_text()
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        file.write_bytes(text.encode(encoding))
        again = reread(cache)
        assert not again.has("kind", "k1") or again.meta("kind", "k1")["value"] == 0


def test_swapped_artifacts_are_found(cache, said):
    put(cache, "k1", "one")
    put(cache, "k2", "two")
    one, two = cache.path("kind", "k1"), cache.path("kind", "k2")
    one.rename(one.with_name("x"))
    two.rename(one)
    one.with_name("x").rename(two)
    again = reread(cache)
    assert not again.has("kind", "k1") and not again.has("kind", "k2")
    assert "it is the artifact kind/k2" in said[0]


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_not_moved(cache):
    put(cache)
    (cache.path("kind", "k1") / META).chmod(0)
    with pytest.raises(LampbenchError, match="cannot be read"):
        reread(cache).has("kind", "k1")


def test_a_full_disk_is_one_line(cache, monkeypatch):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lampbench.execution.cache.sync_tree", full)
    with pytest.raises(
        LampbenchError, match=r"disk is full \([\d,]+ bytes needed, [\d,]+ bytes free"
    ):
        put(cache)
    assert not cache.has("kind", "k1")


def test_everything_is_on_the_disk_before_it_is_visible(cache, monkeypatch):
    synced: list[str] = []

    def note(folder):
        assert not cache.path("kind", "k1").exists()
        synced.extend(file.name for file in folder.rglob("*"))

    monkeypatch.setattr("lampbench.execution.cache.sync_tree", note)
    put(cache)
    assert {"weights.bin", "config.json", META, "adapter"} <= set(synced)


def journal(path, said, owner="ann"):
    return Journal(path, owner, lambda value: value, lambda value: value, said.append)


def test_a_journal_believes_its_own_lines_alone(tmp_path, said):
    file = tmp_path / "journal.jsonl"
    written = journal(file, said)
    for name in "abc":
        written.add(name, {"text": name})
    whole = file.read_bytes()
    assert journal(file, said).results == {name: {"text": name} for name in "abc"} and said == []

    file.write_bytes(whole[:-5])
    assert set(journal(file, said).results) == {"a", "b"} and said == [], "what a kill leaves"

    file.write_bytes(whole.replace(b'"text": "b"', b'"text": "x"'))
    assert set(journal(file, said).results) == {"a", "c"}
    assert "1 damaged line dropped" in said.pop()
    assert set(journal(file, said).results) == {"a", "c"} and said == [], "it was repaired"

    file.write_bytes(whole)
    assert journal(file, said, owner="bob").results == {}
    assert "3 damaged lines dropped" in said.pop()


def test_a_run_over_a_damaged_cache_gives_the_same_answers(planner, tmp_path, capsys):
    def run():
        plan = planner("cope")
        return read_run(execute(plan, "", plan.folder.parents[3], force=True)).predictions

    before = run()
    cache = tmp_path / "cache"
    folders = [path for path in cache.glob("*/*") if (path / META).is_file()]
    assert len(folders) == 1 + 4 * 3
    for folder in folders:
        flip(next(file for file in sorted(folder.rglob("*")) if file.is_file()), 11)
    assert run() == before
    assert capsys.readouterr().err.count("damaged artifact") == len(folders)
    shutil.rmtree(cache)
