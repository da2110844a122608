"""The versions that manifests record."""

import platform
import subprocess
from importlib import metadata

import pytest

from lampbench.record import versions as room
from lampbench.record.versions import versions
from lampbench.util.version import VERSION


def test_versions_of_what_a_number_depends_on():
    found = versions()
    assert (found["lampbench"], found["python"]) == (VERSION, platform.python_version())
    assert found["torch"] == metadata.version("torch")
    assert {"transformers", "peft", "nltk", "sacrebleu", "commit"} <= found.keys()


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A function that makes the code run from a new git checkout; returns its folder."""

    def make(name):
        root = tmp_path / name
        (root / "lampbench" / "record").mkdir(parents=True)
        (root / "lampbench" / "a.py").write_text(name)
        git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e"]
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", name]):
            subprocess.run([*git, *command], check=True)
        monkeypatch.setattr(room, "__file__", str(root / "lampbench" / "record" / "versions.py"))
        return root

    return make


def test_outside_a_checkout_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setattr(room, "__file__", str(tmp_path / "lampbench" / "record" / "versions.py"))
    assert room._commit() is None


def test_the_commit_is_marked_where_files_differ(checkout):
    root = checkout("ours")
    commit = room._commit()
    assert commit is not None and len(commit) == 40
    (root / "lampbench" / "a.py").write_text("2")
    assert room._commit() == f"{commit}+changes"


def test_a_hook_of_another_checkout_does_not_lend_its_commit(checkout, monkeypatch):
    """Git tells hooks, and commands of a rebase, where the other one is."""
    other = checkout("other")
    theirs = room._commit()
    checkout("ours")
    ours = room._commit()
    for name, value in {"DIR": ".git", "WORK_TREE": "", "INDEX_FILE": ".git/index"}.items():
        monkeypatch.setenv(f"GIT_{name}", str(other / value))
    assert room._commit() == ours != theirs


def test_files_that_git_cannot_compare_are_not_called_unchanged(checkout):
    root = checkout("ours")
    (root / "lampbench" / "a.py").write_text("2")
    (root / ".git" / "index").write_bytes(b"damaged")
    assert room._commit() is None
