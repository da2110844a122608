"""A cache in a remote store: an S3 server of moto's where it is installed, and a folder by file://."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from lampbench.core.dataset import Dataset
from lampbench.execution.artifact_files import META, find_damage
from lampbench.execution.cache import PARTIAL, UNPUBLISHED, Cache
from lampbench.execution.forget_artifacts import forget_in_cache
from lampbench.execution.partial_work import partial_work
from lampbench.execution.remote_folder import LOCAL_FOLDER, cache_folder, store_of
from lampbench.execution.remote_store import RemoteStore
from lampbench.execution.run_shard import execute_shard
from lampbench.execution.runner import execute
from lampbench.execution.shard import Shard
from lampbench.execution.shard_answers import SHARD_ANSWERS
from lampbench.util.errors import LampbenchError
from lampbench.workers.probe import look_around, need_of, problem_of
from tests.shared.fake_runs import Killed, person

PEOPLE = tuple(person(f"user{i}", records=2 + i % 2) for i in range(6))
DATA = Dataset("news_headline", "a test", PEOPLE[4:], PEOPLE[:4])


@pytest.fixture
def machine(url, tmp_path, monkeypatch):
    """The folder of the cache on a machine that shares the store and nothing else."""

    def enter(name):
        monkeypatch.setenv(LOCAL_FOLDER, str(tmp_path / name))
        return cache_folder(url)

    return enter


@pytest.fixture
def cache(machine):
    """The cache as a machine has it, with what it says."""

    def make(name, said=None):
        return Cache(machine(name), (said if said is not None else []).append)

    return make


def put(cache, key="k1", text="weights", owner=None):
    folder = cache.partial("kind", key) / "adapter"
    folder.mkdir()
    (folder / "weights.bin").write_text(text)
    cache.commit("kind", key, folder, {"owner": owner, "task": "t"})


def weights(cache, key="k1"):
    return (cache.path("kind", key) / "adapter/weights.bin").read_text()


def test_what_one_machine_makes_another_has(cache):
    here = cache("here")
    assert not here.has("kind", "k1")
    put(here)
    there = cache("there")
    assert there.is_stored("kind", "k1") and there.keys("kind") == ["k1"]
    assert there.has("kind", "k1") and weights(there) == "weights"
    assert there.meta("kind", "k1") == here.meta("kind", "k1")
    assert not find_damage(there.path("kind", "k1"), "kind", "k1")
    assert not list((here.root / UNPUBLISHED).glob("*/*"))


def test_fetching_leaves_no_unfinished_work(cache):
    put(cache("here"))
    there = cache("there")
    assert there.has("kind", "k1") and not there.has("kind", "k2")
    assert not list(partial_work(there.root))


def test_a_fetch_under_way_survives_a_process_that_finds_the_artifact_finished(cache, monkeypatch):
    put(cache("here"))
    there, other = cache("there"), cache("there")
    fetch = there.remote.fetch

    def meanwhile(*arguments):
        found = fetch(*arguments)
        other.drop_finished("kind", ["k1"])
        return found

    monkeypatch.setattr(there.remote, "fetch", meanwhile)
    assert there.has("kind", "k1") and weights(there) == "weights"


def test_an_artifact_is_visible_when_all_of_it_is_there(cache, monkeypatch):
    here, there = cache("here"), cache("there")
    files = here.remote._files

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(files, "pipe_file", killed)  # what writes meta.json
        with pytest.raises(Killed):
            put(here)
    assert there.keys("kind") == ["k1"], "its files are there"
    assert not there.has("kind", "k1") and not there.is_stored("kind", "k1")
    cache("here").require_usable()  # the next command publishes it
    assert there.has("kind", "k1") and weights(there) == "weights"


def test_what_was_published_first_is_used_by_all(cache):
    here, there = cache("here"), cache("there")
    assert not there.has("kind", "k1")
    put(here, text="the first")
    put(there, text="the second")
    elsewhere = cache("elsewhere")
    assert elsewhere.has("kind", "k1")
    assert weights(there) == weights(elsewhere) == "the first"


def test_two_that_publish_at_once_are_never_mixed(cache, machine):
    here, there = cache("here"), cache("there")
    for one, text in ((here, "A" * 50), (there, "B" * 50)):
        one.remote, store = None, one.remote
        put(one, text=text)
        one.remote = store
    folders = [one.path("kind", "k1") for one in (here, there)]
    # as if the first was overtaken between its files and its meta.json
    here.remote.publish("kind", "k1", folders[0])
    there.remote.publish("kind", "k1", folders[1])
    here.remote._files.pipe_file(
        here.remote._place("kind", "k1", META), (folders[0] / META).read_bytes()
    )
    third = cache("third")
    assert third.has("kind", "k1") and weights(third) == "A" * 50


def test_a_checksum_that_does_not_match_is_said_and_the_artifact_made_again(cache):
    here = cache("here")
    put(here)
    meta = json.loads(here.remote.meta("kind", "k1"))
    (digest,) = meta["files"].values()
    here.remote._files.pipe_file(here.remote._place("kind", "k1", digest), b"other bytes")
    said: list[str] = []
    there = cache("there", said)
    assert not there.has("kind", "k1")
    (line,) = said
    assert f"{there.remote.url}/kind/k1: adapter/weights.bin was changed; removed, made" in line
    assert not list((there.root / PARTIAL / "kind").iterdir())
    put(there, text="made again")
    third = cache("third", said)
    assert third.has("kind", "k1") and weights(third) == "made again"
    assert said == [line]


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "adapter/../../../escaped"])
def test_no_file_is_written_outside_the_artifacts_folder(cache, name, tmp_path):
    here = cache("here")
    put(here)
    meta = json.loads(here.remote.meta("kind", "k1"))
    meta["files"] = {name: next(iter(meta["files"].values()))}
    place = here.remote._place("kind", "k1", META)
    here.remote._files.pipe_file(place, json.dumps(meta).encode())
    assert not cache("there").has("kind", "k1")
    assert not list(tmp_path.rglob("escaped")) and not Path("/tmp/escaped").exists()


def test_a_damaged_local_copy_is_fetched_again(cache):
    here = cache("here")
    put(here)
    there = cache("there")
    assert there.has("kind", "k1")
    (there.path("kind", "k1") / "adapter/weights.bin").write_text("damaged")
    said: list[str] = []
    again = cache("there", said)
    assert again.has("kind", "k1") and weights(again) == "weights"
    assert len(said) == 1 and "was changed" in said[0]


def test_forget_reaches_the_store(cache, machine):
    here = cache("here")
    put(here, "k1", owner="ann")
    put(here, "k2", owner="bob")
    removed, left = forget_in_cache(machine("there"), "ann")
    assert removed == [f"{here.remote.url}/kind/k1: kind of t"]
    (line,) = left
    assert line.startswith(f"{here.remote.url}: other machines") and "same command there" in line
    assert cache("third").keys("kind") == ["k2"]
    assert here.path("kind", "k1").is_dir(), "which is why it is said"
    removed, _ = forget_in_cache(here.root, "ann")
    assert removed == [f"{here.path('kind', 'k1')}: kind of t"]


def recorded(folder):
    return {
        name: (folder / name).read_bytes() for name in ("predictions.json.gz", "scores.json.gz")
    }


@pytest.mark.parametrize("method", ["base", "cope"])
def test_shards_on_machines_that_share_only_the_store(planner, machine, tmp_path, engine, method):
    def plan(name):
        return planner(method, data=DATA, cache=machine(name))

    alone = planner(method, data=DATA, cache="alone")
    expected = recorded(execute(alone, "test", tmp_path / "results"))
    shutil.rmtree(tmp_path / "results")
    engine.trained.clear()
    *earlier, folder = [
        execute_shard(plan(f"node{index}"), Shard(index, 3), "", tmp_path / "results")
        for index in range(3)
    ]
    assert earlier == [None, None]
    assert folder is not None and recorded(folder) == expected
    keys = [job.output.parent.name for job in engine.trained]
    assert len(keys) == len(set(keys)), "what one has made the others fetch"
    assert not plan("node1").executor.cache.keys(SHARD_ANSWERS)


def test_a_node_says_whether_it_uses_the_same_store(machine, tmp_path):
    root = machine("driver")
    need = need_of(["bundled"], root, tmp_path / "results", "cpu")
    assert need.store and "does not see the cache " + need.store in problem_of(
        look_around(need), need
    )
    with need.token():
        assert not problem_of(look_around(need), need)
    assert not RemoteStore(need.store).kinds()


def test_a_copy_that_the_store_does_not_have_gives_way(cache):
    here, there = cache("here"), cache("there")
    store, here.remote = here.remote, None
    put(here, text="only here")
    here.remote = store
    put(there, text="in the store")
    put(here, text="made again")
    assert weights(here) == weights(there) == "in the store"


def test_what_is_made_again_replaces_a_copy_that_the_store_does_not_have(cache):
    here = cache("here")
    put(here, text="old")
    here.remote.remove("kind", "k1")
    put(here, text="new")
    assert weights(here) == "new"
    there = cache("there")
    assert there.has("kind", "k1") and weights(there) == "new"


def test_what_could_not_be_published_gives_way_to_what_another_machine_has_published(
    cache, monkeypatch
):
    here, there = cache("here"), cache("there")

    def unreachable(*_):
        raise LampbenchError("the store cannot be reached")

    with monkeypatch.context() as patch:
        patch.setattr(here.remote, "publish", unreachable)
        with pytest.raises(LampbenchError):
            put(here, text="made here")
    assert weights(here) == "made here"
    put(there, text="made there")
    again = cache("here")
    again.require_usable()
    assert not list((again.root / UNPUBLISHED).glob("*/*"))
    assert weights(again) == weights(there) == "made there"
    third = cache("third")
    assert third.has("kind", "k1") and weights(third) == "made there"


def test_threads_that_fetch_one_artifact_do_not_disturb_each_other(cache, monkeypatch):
    here, there = cache("here"), cache("there")
    put(here)
    fetch, all_are_here = there.remote.fetch, Barrier(4)

    def together(*arguments):
        all_are_here.wait()
        found = fetch(*arguments)
        all_are_here.wait()  # nobody goes on before all files are there
        return found

    monkeypatch.setattr(there.remote, "fetch", together)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: there._fetched("kind", "k1", newly=True), range(4)))
    assert found == [True] * 4 and there.has("kind", "k1") and weights(there) == "weights"
    assert not list((there.root / PARTIAL).glob("*/*"))


def test_a_folder_of_an_unusable_store_is_removed_only_where_nothing_was_done(
    machine, monkeypatch, tmp_path
):
    def failing(root):
        store = store_of(root)
        monkeypatch.setattr(store, "_opened", (None, ""))  # every request raises
        with pytest.raises(LampbenchError, match="cannot keep a cache"):
            assert store is not None and store.keys("kind")

    unused, used = machine("unused"), machine("used")
    (used / "locks" / "one").touch()
    failing(used)
    assert store_of(used) is not None
    failing(unused)
    assert not unused.exists() and not list((tmp_path / "unused").iterdir())
    monkeypatch.setenv(LOCAL_FOLDER, str(tmp_path / "unused"))
    with pytest.raises(LampbenchError, match="does not name the store"):  # for who has its name
        Cache(unused, print)
    assert machine("unused") == unused and store_of(unused) is not None
