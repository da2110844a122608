"""`make release`: what it refuses, and the index page's links."""

import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lampbench.util.version import VERSION
from scripts.build_package import (
    export_tree,
    index_pages,
    relative_links,
    with_absolute_links,
)
from scripts.release import reasons_against

ROOT = Path(__file__).resolve().parents[2]
TARGET = "https://github.com/lampbench/lampbench/blob/v1.2.3/"


def git(checkout: Path, *arguments: str) -> None:
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", checkout, *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def ready(tmp_path: Path) -> Path:
    """A checkout whose version 1.2.3 may be released."""
    for name in ("CHANGELOG.md", "CITATION.cff"):
        text = (ROOT / name).read_text("utf-8").replace(VERSION, "1.2.3")
        (tmp_path / name).write_text(text.replace("unreleased", "2026-12-01"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "ready")
    return tmp_path


def test_a_version_that_is_ready(ready: Path) -> None:
    assert reasons_against(ready, "1.2.3") == []


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(checkout: Path) -> None:
        file = checkout / name
        assert old in file.read_text("utf-8")
        file.write_text(file.read_text("utf-8").replace(old, new), encoding="utf-8")
        git(checkout, "commit", "-qam", "changed")

    return change


@pytest.mark.parametrize(
    ("change", "version", "said"),
    [
        (edit("CHANGELOG.md", "2026-12-01", "unreleased"), "1.2.3", "no dated section [1.2.3]"),
        (edit("CHANGELOG.md", "\n[1.2.3]: ", "\n[x]: "), "1.2.3", "no link for [1.2.3]"),
        (edit("CITATION.cff", "version: 1.2.3", "version: 1.2.2"), "1.2.3", "CITATION.cff names"),
        (lambda c: (c / "new").write_text(""), "1.2.3", "1 files are not committed"),
        (lambda c: git(c, "tag", "v1.2.3"), "1.2.3", "v1.2.3 is tagged already"),
        (lambda c: None, "1.2", "1.2 is no version of SemVer"),
    ],
)
def test_a_version_that_is_not(
    ready: Path, change: Callable[[Path], object], version: str, said: str
) -> None:
    change(ready)
    assert any(said in reason for reason in reasons_against(ready, version))


def test_links_of_the_index_page_are_absolute() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    before = relative_links(page)
    assert len(before) > 10
    made = with_absolute_links(page, "1.2.3")
    assert relative_links(made) == []
    assert all(f"]({TARGET}{link})" in made for link in before)
    assert all((ROOT / link.partition("#")[0]).exists() for link in before)


def test_links_that_are_absolute_stay() -> None:
    page = "[a](https://x.org/y) [b](#c) [d](docs/e.md#f) `[g](h)`"
    assert relative_links(page) == ["docs/e.md#f", "h"]
    assert with_absolute_links(page, "1.2.3").startswith(
        f"[a](https://x.org/y) [b](#c) [d]({TARGET}docs/e.md#f)"
    )


def test_what_is_built_is_what_is_committed(tmp_path: Path) -> None:
    export_tree(tmp_path / "tree", "1.2.3")
    assert relative_links((tmp_path / "tree/README.md").read_text("utf-8")) == []
    assert (tmp_path / "tree/lampbench/__init__.py").is_file()
    assert not (tmp_path / "tree/.venv").exists()


def test_the_index_page_is_read_from_both_archives(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.4\nName: x\nVersion: 1\n\n# x\n\n[a](docs/b.md)\n"
    with zipfile.ZipFile(tmp_path / "x-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("x-1.dist-info/METADATA", metadata)
    (tmp_path / "x-1").mkdir()
    (tmp_path / "x-1/PKG-INFO").write_text(metadata)
    with tarfile.open(tmp_path / "x-1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "x-1", "x-1")
    shutil.rmtree(tmp_path / "x-1")
    pages = index_pages(tmp_path)
    assert [relative_links(page) for page in pages.values()] == [["docs/b.md"], ["docs/b.md"]]
