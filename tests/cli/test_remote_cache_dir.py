"""`--cache-dir s3://...`: a run, workers, and what can be wrong with a store, in one line each."""

import sys
import urllib.request

import fsspec.config
import pytest

from lampbench.cli import worker_options
from tests.shared import fake_worker
from tests.shared.s3_server import new_bucket

RUN = ("run", "--method", "oppu", "--task", "news_headline", "--users", "4", "--device", "cpu")


def answers(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*.json.gz")}


def test_a_run_uses_what_another_machine_has_made(call, on_fake_engine, url, tmp_path, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", "here")
    assert call(*RUN, "--cache-dir", url)[0] == 0
    assert len(on_fake_engine.trained) == 5
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", "there")
    code, _, err = call(*RUN, "--cache-dir", url, "--results", "more")
    assert code == 0, err
    assert len(on_fake_engine.trained) == 5, "nothing is trained again"
    assert answers(tmp_path / "more") == answers(tmp_path / "results")


def test_workers_share_a_store(call, on_fake_engine, url, tmp_path, monkeypatch):
    assert call(*RUN, "--results", "alone", "--cache-dir", "alone-cache")[0] == 0
    monkeypatch.setattr(worker_options, "_MODULE", "tests.shared.fake_worker")
    monkeypatch.setenv(fake_worker.LOG, str(tmp_path / "trained"))
    monkeypatch.setenv(fake_worker.FATE, "kill:0/2")
    (tmp_path / "trained").write_text("")
    code, _, err = call(*RUN, "--workers", "2", "--cache-dir", url)
    assert code == 0, err
    assert answers(tmp_path / "results") == answers(tmp_path / "alone")
    assert "begun again (1 of 2)" in err


def refused(call, url):
    code, out, err = call(*RUN, "--cache-dir", url)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert len(line) <= 500
    return line


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nosuch://bucket/x", "fsspec knows no scheme nosuch://"),
        ("s3://user:password@bucket/x", "a URL with a user name, password or token"),
        ("S3://user:password@bucket/x", "a URL with a user name, password or token"),
        ("s3://user:password@bucket/x y", "a URL with a user name, password or token"),
        ("simplecache::s3://user:password@bucket/x", "a URL with a user name, password or token"),
        ("https://host/x?token=password", "a URL with a user name, password or token"),
        ("s3://", "is no URL such as s3://bucket/folder"),
        ("s3://a b", "is no URL such as s3://bucket/folder"),
        ("simplecache::s3://bucket/x", "is no URL such as s3://bucket/folder"),
        (f"s3://{'b' * 4000}", "is no URL such as s3://bucket/folder"),
    ],
)
def test_a_url_that_makes_no_sense(call, url, told):
    line = refused(call, url)
    assert told in line and "user:password" not in line and "=password" not in line


@pytest.mark.parametrize(
    ("scheme", "module", "how"),
    [("gs", "gcsfs", "pip install gcsfs"), ("s3", "s3fs", "pip install 'lampbench[remote]'")],
)
def test_a_library_that_is_not_installed_is_named(call, monkeypatch, scheme, module, how):
    monkeypatch.setitem(sys.modules, module, None)
    imported = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(imported, scheme, raising=False)
    line = refused(call, f"{scheme}://bucket/x")
    assert f"needs the package {module}, which cannot be imported" in line and how in line


@pytest.mark.parametrize(
    "processes", [("--workers", "2"), ("--shard", "0/2"), ("--executor", "ray")], ids=" ".join
)
def test_a_store_in_the_memory_of_one_process_is_for_one(call, on_fake_engine, processes):
    code, out, err = call(*RUN, "--cache-dir", "memory://cache", *processes)
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert "memory://cache: is in the memory of one process" in line and "--workers" in line
    assert not on_fake_engine.generated


def test_a_package_that_fsspecs_own_code_needs_is_named(call, monkeypatch, tmp_path):
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", str(tmp_path / "local"))
    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "sftp", raising=False)
    line = refused(call, "sftp://host/x")
    assert "needs the package paramiko, which cannot be imported" in line
    assert "install that package" in line and "fsspec" not in line
    assert not list((tmp_path / "local").glob("*"))


@pytest.mark.parametrize("url", ["data://x", "dir://x", "reference://x"])
def test_a_scheme_that_cannot_keep_a_cache(call, monkeypatch, tmp_path, url):
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", str(tmp_path / "local"))
    line = refused(call, url)
    assert "for this scheme cannot keep a cache there (" in line and "choose another store" in line
    assert "reached" not in line
    assert not list((tmp_path / "local").glob("*")), "also where something must be asked of it"


def test_a_store_that_cannot_be_reached(call, on_fake_engine, s3_server, monkeypatch):
    url = new_bucket(s3_server, monkeypatch)
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": "http://127.0.0.1:9"})
    line = refused(call, url)
    assert f"{url}: the store cannot be reached" in line and "127.0.0.1:9" in line
    assert not on_fake_engine.trained


def test_a_bucket_that_does_not_exist(call, on_fake_engine, s3_server, monkeypatch):
    new_bucket(s3_server, monkeypatch)
    line = refused(call, "s3://no-such-bucket/x")
    assert "s3://no-such-bucket/x: no such place" in line and "--cache-dir" in line
    assert not on_fake_engine.trained


def test_refused_credentials(call, on_fake_engine, s3_server, monkeypatch):
    url = new_bucket(s3_server, monkeypatch)

    def actions_without_check(count):
        place, kind = f"{s3_server}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        asked = urllib.request.Request(place, str(count).encode(), kind)
        urllib.request.urlopen(asked).read()

    actions_without_check(0)
    try:
        line = refused(call, url)
    finally:
        actions_without_check("inf")
    assert f"{url}: the store refuses the credentials" in line and "AWS_ACCESS_KEY_ID" in line
    assert not on_fake_engine.trained


def test_a_store_that_fails_in_the_middle_loses_nothing(
    call, on_fake_engine, s3_server, monkeypatch, tmp_path
):
    from lampbench.execution.remote_store import RemoteStore

    url = new_bucket(s3_server, monkeypatch)
    publish, left = RemoteStore.publish, [2]

    def failing(self, kind, key, folder):
        left[0] -= 1
        if left[0] < 0:
            monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": "http://127.0.0.1:9"})
            raise self._failure(ConnectionError("connection lost"))
        publish(self, kind, key, folder)

    with monkeypatch.context() as patch:
        patch.setattr(RemoteStore, "publish", failing)
        line = call(*RUN, "--cache-dir", url)[2].splitlines()[-1]
    assert "cannot be reached (ConnectionError: connection lost)" in line
    made = len(on_fake_engine.trained)
    assert made >= 3
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": s3_server})
    code, _, err = call(*RUN, "--cache-dir", url)
    assert code == 0, err
    monkeypatch.setenv("LAMPBENCH_LOCAL_CACHE", "elsewhere")
    on_fake_engine.trained.clear()
    assert call(*RUN, "--cache-dir", url, "--results", "more")[0] == 0
    assert not on_fake_engine.trained, "all of it is in the store"
