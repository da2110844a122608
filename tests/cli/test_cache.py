"""`lampbench cache`: what is stored, what nothing needs, and whether it is sound."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from random import Random

import pytest

from lampbench.engine.checkpoint_file import CHECKPOINT, sealed
from lampbench.execution.cache import Cache
from lampbench.execution.cache_contents import artifacts, grouped
from lampbench.execution.journal import JOURNAL
from lampbench.util.lock import hold
from lampbench.util.terminal import LONGEST
from tests.shared.fake_runs import Killed

OPPU = ("--method", "oppu")
SOUND = ".lampbench/cache: no damage in 3 artifacts and 0 files of unfinished work\n"
ALL = ("--older-than", "0")


def stored(root):
    return {(each.kind, each.key) for each in artifacts(root)}


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / ".lampbench/cache"


def test_list_counts_by_kind_task_and_model(small_run, call, cache_dir):
    assert small_run(*OPPU)[0] == 0
    assert small_run(*OPPU, "--set", "user_sft.rank=2", "--results", "more")[0] == 0
    code, out, err = call("cache", "list", "--format", "json")
    assert (code, err) == (0, "")
    task, user = sorted(json.loads(out)["artifacts"], key=lambda row: row["kind"])
    assert (task["kind"], task["artifacts"], task["settings"], task["users"]) == (
        "task_sft",
        1,
        1,
        0,
    )
    assert (user["kind"], user["artifacts"], user["settings"], user["users"]) == (
        "user_sft",
        4,
        2,
        2,
    )
    assert {row["task"] for row in (task, user)} == {"news_headline"}
    assert {row["model"] for row in (task, user)} == {"bundled"}
    files = [file for file in cache_dir.glob("*_sft/**/*") if file.is_file()]
    assert task["bytes"] + user["bytes"] == sum(file.stat().st_size for file in files)
    assert user["last_used"] == time.strftime("%Y-%m-%d")
    code, out, _ = call("cache", "list")
    assert code == 0 and re.search(r"^user_sft +4 +2 +2 +[\d,]+ ", out, re.MULTILINE)
    assert "5 artifacts" in out


def test_list_of_an_empty_cache(call):
    assert call("cache", "list") == (0, ".lampbench/cache: no artifact is stored\n", "")


def test_list_needs_no_memory_per_artifact(tmp_path):
    import tracemalloc

    def fill(count):
        root = tmp_path / str(count)
        for number in range(count):
            folder = root / "user_sft" / f"{number:016x}"
            folder.mkdir(parents=True)
            meta = {"task": "t", "model": "m", "owner": f"user{number}", "recipe": "r", "seed": 0}
            (folder / "meta.json").write_text(json.dumps(meta))
        return root

    def peak(root):
        tracemalloc.start()
        (group,) = grouped(root)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return group.users, size

    few, many = fill(100), fill(3000)
    peak(many)  # the interpreter's own table of names may grow at this moment
    (users, small), (more, large) = peak(few), peak(many)
    assert (users, more) == (100, 3000)
    assert large < small * 2 + 50_000


def test_use_is_noted_and_nothing_else_changes(small_run, cache_dir):
    assert small_run(*OPPU)[0] == 0
    for each in artifacts(cache_dir):
        os.utime(each.folder / "meta.json", (1, 1))
    assert small_run(*OPPU, "--results", "more")[0] == 0
    assert all(each.last_used > time.time() - 100 for each in artifacts(cache_dir))


def test_gc_keeps_what_recorded_runs_need(small_run, call, cache_dir):
    assert small_run(*OPPU, "--method", "cope")[0] == 0
    kept = stored(cache_dir)
    assert small_run(*OPPU, "--set", "user_sft.rank=2", "--results", "other")[0] == 0
    extra = stored(cache_dir) - kept
    assert len(extra) == 2
    code, out, err = call("cache", "gc", *ALL)
    assert (code, err) == (0, "")
    assert stored(cache_dir) == kept | extra, "without --yes nothing is removed"
    assert all(f"artifact: .lampbench/cache/{kind}/{key} (" in out for kind, key in extra)
    assert all(key not in out for _, key in kept)
    assert re.search(r"can be removed, [\d,]+ bytes; --yes removes them\n$", out)
    both = call("cache", "gc", *ALL, "--results", "results", "--results", "other", "--yes")
    assert both[0] == 0 and stored(cache_dir) == kept | extra
    code, out, _ = call("cache", "gc", *ALL, "--yes")
    assert code == 0 and out.splitlines()[-1].startswith(".lampbench/cache: 2 removed, ")
    assert stored(cache_dir) == kept
    assert small_run(*OPPU, "--method", "cope", "--force")[0] == 0
    assert stored(cache_dir) == kept, "nothing had to be made again"


def test_gc_keeps_what_was_used_lately(small_run, call, cache_dir):
    assert small_run(*OPPU, "--results", "other")[0] == 0
    (cache_dir.parent.parent / "results").mkdir()
    kept = stored(cache_dir)
    assert call("cache", "gc", "--yes") == (0, ".lampbench/cache: nothing to remove\n", "")
    assert stored(cache_dir) == kept
    assert call("cache", "gc", *ALL, "--yes")[0] == 0
    assert stored(cache_dir) == set()


def test_gc_removes_left_overs(call, cache_dir, tmp_path):
    (tmp_path / "results").mkdir()
    for name in ("partial/user_sft/k/checkpoints/c.pt", "damaged/user_sft-x/meta.json",
                 "locks/l", ".notes.0a1b", "digests.json"):  # fmt: skip
        file = cache_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"12345")
    (cache_dir / "notes").write_text("of somebody else")
    code, out, _ = call("cache", "gc", *ALL)
    assert code == 0
    assert out.splitlines() == [
        "partial work: .lampbench/cache/partial/user_sft/k (5 bytes)",
        "damaged artifact: .lampbench/cache/damaged/user_sft-x (5 bytes)",
        "lock: .lampbench/cache/locks/l (5 bytes)",
        "temporary file: .lampbench/cache/.notes.0a1b (5 bytes)",
        "temporary file: .lampbench/cache/digests.json (5 bytes)",
        ".lampbench/cache: 5 can be removed, 25 bytes; --yes removes them",
    ]
    assert call("cache", "gc", *ALL, "--yes")[0] == 0
    assert [file.name for file in cache_dir.rglob("*") if file.is_file()] == ["notes"]


NOT_UTF_8 = os.fsdecode(b"\xff\xfe")


@pytest.mark.skipif(sys.platform == "darwin", reason="its names of files are UTF-8")
def test_names_of_folders_are_escaped_and_cut(tmp_path, root):
    """In a process of its own: the stream of a test takes what standard output refuses."""
    cache, long = tmp_path / "cache", "x" * 250
    for key in (NOT_UTF_8, "a\nforged: line", "b\x1b[2J"):
        (cache / "oppu" / key).mkdir(parents=True)
    (cache / long / long).mkdir(parents=True)
    (cache / "locks").mkdir()
    (tmp_path / "results").mkdir()

    def told(*arguments):
        command = [sys.executable, "-m", "lampbench", "cache", *arguments, "--cache-dir", "cache"]
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8:strict"}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment)
        assert done.stderr == b""
        return done.returncode, sorted(done.stdout.decode().splitlines())

    code, found = told("verify")
    assert code == 1 and len(found) == 5, "a line per damaged artifact, and their number"
    assert all(len(line) <= LONGEST for line in found) and "..." in found[3]
    assert found[0].startswith("cache/oppu/\\udcff\\udcfe: ")
    assert found[1].startswith("cache/oppu/a forged: line: ")
    assert found[2].startswith("cache/oppu/b\\u001b[2J: ")
    assert told("list")[0] == 0 == told("list", "--format", "json")[0]
    code, found = told("gc", *ALL, "--yes")
    assert code == 0 and len(found) == 5 and all(len(line) <= LONGEST for line in found)
    assert "artifact: cache/oppu/\\udcff\\udcfe (0 bytes)" in found
    assert not stored(cache)


def test_gc_names_a_run_that_cannot_be_planned_and_keeps_its_task(
    small_run, call, cache_dir, tmp_path
):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from lampbench.plugin import register_method\n"
        "from lampbench.methods.oppu import OPPU\n"
        "@register_method('mine')\n"
        "class Mine(OPPU):\n    '''Mine.'''\n"
    )
    code, _, err = small_run("--method", "mine", "--plugins", str(plugin))
    assert code == 0, err
    kept = stored(cache_dir)
    code, _, err = call("cache", "gc", *ALL, "--yes")
    assert code == 0
    (line,) = err.splitlines()
    assert re.match(r"results/news_headline/bundled/mine/\w+: cannot be planned here \(", line)
    assert "mine" in line and line.endswith("; all artifacts of news_headline are kept")
    assert stored(cache_dir) == kept
    code, _, err = call("cache", "gc", *ALL, "--yes", "--plugins", str(plugin))
    assert (code, err) == (0, "")
    assert stored(cache_dir) == kept


def test_gc_keeps_the_task_of_a_damaged_run(small_run, call, cache_dir, tmp_path):
    assert small_run(*OPPU)[0] == 0
    (manifest,) = (tmp_path / "results").rglob("manifest.json")
    manifest.write_text(manifest.read_text()[:100])
    kept = stored(cache_dir)
    code, _, err = call("cache", "gc", *ALL, "--yes")
    assert code == 0 and "all artifacts of news_headline are kept" in err
    assert stored(cache_dir) == kept


def test_gc_waits_for_no_run_and_removes_nothing_beside_it(small_run, call, cache_dir):
    assert small_run(*OPPU, "--results", "results")[0] == 0
    with hold(cache_dir / "locks" / "x", "x", print):
        code, _, err = call("cache", "gc", *ALL, "--yes")
    assert code == 2 and "a run is at work in this cache" in err


def test_gc_without_recorded_runs_is_refused(small_run, call, cache_dir, tmp_path):
    assert small_run(*OPPU)[0] == 0
    shutil.rmtree(tmp_path / "results")
    code, _, err = call("cache", "gc", *ALL, "--yes")
    assert code == 2 and err.startswith("error: results: no such folder; name the folder")
    assert len(stored(cache_dir)) == 3


@pytest.mark.parametrize("name", ["meta.json", "adapter/adapter.json"])
def test_verify_names_damage(small_run, call, cache_dir, name):
    assert small_run(*OPPU)[0] == 0
    assert call("cache", "verify") == (0, SOUND, "")
    kind, key = sorted(stored(cache_dir))[-1]
    file = cache_dir / kind / key / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    code, out, _ = call("cache", "verify")
    assert code == 1
    first, last = out.splitlines()
    assert first.startswith(f".lampbench/cache/{kind}/{key}: {name} ")
    assert last.startswith(".lampbench/cache: 1 of 3 artifacts and 0 files of")
    assert stored(cache_dir) >= {(kind, key)}, "verify changes nothing"
    assert not Cache(cache_dir, print).has(kind, key)


@pytest.fixture
def unfinished(small_run, engine, cache_dir):
    """A run that a kill ended in the middle of its answers, and a checkpoint beside them."""
    engine.budget = 5
    with pytest.raises(Killed):
        small_run("--method", "base")
    work = cache_dir / "partial" / "user_sft" / "k" / "checkpoints"
    work.mkdir(parents=True)
    (work / "checkpoint.pt").write_bytes(sealed("job", b"weights"))
    return sorted(file for file in cache_dir.rglob("*") if file.name in (JOURNAL, CHECKPOINT))


def test_verify_reads_journals_and_checkpoints_to_the_last_bit(call, cache_dir, unfinished):
    code, out, _ = call("cache", "verify")
    count = f"0 artifacts and {len(unfinished)} files of unfinished work"
    assert (code, out) == (0, f".lampbench/cache: no damage in {count}\n")
    random = Random(7)
    for file in unfinished:
        whole = file.read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            bit = random.randrange(len(data) * 8)
            data[bit // 8] ^= 1 << bit % 8
            file.write_bytes(data)
            if data.count(b"\n") != whole.count(b"\n") or data[-1:] != whole[-1:]:
                continue  # a line that was not finished, or two lines of one, are no whole lines
            code, out, _ = call("cache", "verify")
            assert code == 1 and out.startswith(str(file.relative_to(cache_dir.parents[1]))), bit
            assert file.read_bytes() == data, "verify changes nothing"
        file.write_bytes(whole)


def test_verify_lets_pass_what_a_kill_leaves(call, unfinished):
    journal = next(file for file in unfinished if file.name == JOURNAL)
    journal.write_bytes(journal.read_bytes()[:-7])
    assert call("cache", "verify")[0] == 0


def test_verify_says_what_it_could_not_check(call, cache_dir, unfinished):
    journal = next(file for file in unfinished if file.name == JOURNAL)
    (journal.parent / "owner.json").unlink()
    code, out, _ = call("cache", "verify")
    assert code == 0 and ": 1 journals were not checked: an earlier version began them" in out
    (journal.parent / "owner.json").write_text('{"user": 3}')
    code, out, _ = call("cache", "verify")
    assert code == 1 and "owner.json: does not say whose work it is" in out


@pytest.mark.parametrize("command", ["list", "gc", "verify"])
def test_a_folder_of_something_else_is_refused_and_left_alone(call, tmp_path, command):
    (tmp_path / "home" / "documents").mkdir(parents=True)
    file = tmp_path / "home" / ".profile"
    file.write_text("mine")
    os.utime(file, (0, 0))
    removing = ("--yes", *ALL) if command == "gc" else ()
    code, out, err = call("cache", command, "--cache-dir", tmp_path / "home", *removing)
    assert (code, out) == (2, "") and "is no cache of lampbench" in err
    assert file.read_text() == "mine"
