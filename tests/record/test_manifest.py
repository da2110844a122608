"""manifest.json: the same bytes for equal manifests, and no edit goes unnoticed."""

import json
from dataclasses import replace

import pytest

from lampbench.record.manifest import FORMAT, Manifest
from lampbench.record.recorded_dataset import SharedFile


@pytest.fixture
def manifest(record):
    return record("base", failed_users={"c": "nan"}).manifest


def test_what_is_written_is_read(manifest):
    data = manifest.to_json()
    assert Manifest.from_json(data) == manifest and Manifest.from_json(data).to_json() == data


@pytest.mark.parametrize("name", ["seed", "method", "created", "private", "failed_users"])
def test_an_edit_is_noticed(manifest, name):
    content = json.loads(manifest.to_json())
    content[name] = {"c": "other"} if name == "failed_users" else 7
    with pytest.raises(ValueError, match="was changed after the run"):
        Manifest.from_json(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be read: it is not JSON"),
        (b"[]", "is not an object"),
        (b"{}", f"format null, this lampbench reads {FORMAT}"),
        (b'{"format": 1}', f"format 1, this lampbench reads {FORMAT}"),
        (b'{"format": 99999999999999999999}', "format an integer, this"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_manifest(data, said):
    with pytest.raises(ValueError, match=said):
        Manifest.from_json(data)


def test_a_number_that_is_not_finite_is_not_written(manifest):
    with pytest.raises(ValueError):
        replace(manifest, overrides={"a": float("nan")}).to_json()


@pytest.mark.parametrize("name", ["../x.queries.json.gz", "x", f"{'0' * 16}.other.json.gz", ""])
def test_a_shared_file_has_a_name_of_ours(name):
    with pytest.raises(ValueError, match="name must be that of a file"):
        SharedFile(name, "0" * 64)
