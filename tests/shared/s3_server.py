"""Stores for caches: an S3 server of moto's, where it and s3fs are installed, and a folder."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lampbench.execution import remote_store

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server."""
    pytest.importorskip("s3fs", reason="needs lampbench[remote]")
    server = pytest.importorskip("moto.server", reason="needs moto[server]")
    found = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    found.start()
    host, port = found.get_host_and_port()
    yield f"http://{host}:{port}"
    found.stop()


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store."""
    monkeypatch.setattr(remote_store, "_FRESH", 0.0)
    if request.param == "file":
        return f"file://{tmp_path}/store"
    return new_bucket(request.getfixturevalue("s3_server"), monkeypatch)


def new_bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store on an S3 server, whose address and keys are in the environment."""
    import fsspec.config
    import s3fs

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", address)  # for processes that are started
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": address})
    bucket = f"bucket-{secrets.token_hex(8)}"
    s3fs.S3FileSystem(endpoint_url=address, skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/cache"
