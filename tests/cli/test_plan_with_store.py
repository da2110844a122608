"""Planning with a cache in a store: it reads the lists of keys, and fetches or removes nothing."""

import pytest

from lampbench.execution.remote_folder import cache_folder, store_of

RUN = ("run", "--method", "oppu", "--task", "news_headline", "--users", "4", "--device", "cpu")


@pytest.fixture
def store(call, on_fake_engine, url, monkeypatch):
    """A store to which another machine has published a run's artifacts; here is an empty folder."""
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", "elsewhere")
    assert call(*RUN, "--cache-dir", url)[0] == 0
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", "here")
    return store_of(cache_folder(url))


def planned(call, url):
    """The rows of the stages that train: units, cached, bytes stored."""
    code, out, err = call(*RUN, "--cache-dir", url, "--results", "more", "--dry-run")
    assert code == 0, err
    rows = [line.split() for line in out.splitlines()]
    return [(row[2], row[3], row[-1]) for row in rows if row and row[0] in ("task_sft", "user_sft")]


def test_a_plan_fetches_nothing_and_counts_what_will_be_fetched(call, url, store):
    found = planned(call, url)
    assert [row[:2] for row in found] == [("1", "1"), ("4", "4")]
    assert all(int(row[2].replace(",", "")) > 0 for row in found), "they take room on this disk"
    here = cache_folder(url)
    assert not [file for file in here.rglob("*") if file.is_file() and file.name != "remote.json"]


def test_a_plan_removes_nothing_from_the_store(call, url, store):
    before = store.keys("user_sft")
    for key in before:
        for path in store._files.ls(store._place("user_sft", key), detail=False):
            if not path.endswith("meta.json"):
                store._files.pipe_file(path, b"other bytes")
    planned(call, url)
    assert store.keys("user_sft") == before
