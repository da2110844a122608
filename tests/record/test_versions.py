"""The versions that manifests record."""

import platform
import subprocess
from importlib import metadata

from lampbench.record import versions as room
from lampbench.record.versions import versions
from lampbench.util.version import VERSION


def test_versions_of_what_a_number_depends_on():
    found = versions()
    assert (found["lampbench"], found["python"]) == (VERSION, platform.python_version())
    assert found["torch"] == metadata.version("torch")
    assert {"transformers", "peft", "nltk", "sacrebleu", "commit"} <= found.keys()


def test_the_commit_is_marked_where_files_differ(monkeypatch, tmp_path):
    (tmp_path / "lampbench" / "record").mkdir(parents=True)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    monkeypatch.setattr(room, "__file__", str(tmp_path / "lampbench" / "record" / "versions.py"))
    assert room._commit() is None
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "lampbench" / "a.py").write_text("1")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "m"], check=True)
    commit = room._commit()
    assert commit is not None and len(commit) == 40
    (tmp_path / "lampbench" / "a.py").write_text("2")
    assert room._commit() == f"{commit}+changes"
