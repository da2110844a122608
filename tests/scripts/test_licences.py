"""The list of licences, and the audit of dependencies: neither passes in silence."""

import json
import shutil
import sys
from importlib import metadata

import pytest

from scripts import audit_dependencies, licences
from scripts.audit_dependencies import pip_audit, verdict

SOUND = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def test_the_page_lists_every_pinned_package(root):
    pins = licences.pinned((root / "constraints.txt").read_text("utf-8"))
    rows = [line.split(" | ") for line in licences.PAGE.read_text("utf-8").splitlines()[9:]]
    assert {row[0].removeprefix("| "): row[1] for row in rows} == pins
    assert all(len(row) == 4 and row[2] and row[3] in ("run |", "develop |") for row in rows)
    used = {row[0].removeprefix("| "): row[3] for row in rows}
    assert (used["torch"], used["pytest"]) == ("run |", "develop |")


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
        ("License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License",
         "BSD-3-Clause"),
        ("License: " + "the whole text " * 20 + "\nClassifier: License :: OSI Approved :: "
         "ISC License (ISCL)", "ISC"),
    ],
)  # fmt: skip
def test_what_a_package_says(monkeypatch, about, said):
    from email import message_from_string

    monkeypatch.setattr(metadata, "metadata", lambda name: message_from_string(about))
    assert licences.licence("x") == said


def test_a_package_that_says_nothing_and_one_of_another_version_are_named(monkeypatch):
    from email import message_from_string

    monkeypatch.setattr(metadata, "metadata", lambda name: message_from_string("Name: x"))
    with pytest.raises(SystemExit, match="x does not say what its licence is"):
        licences.licence("x")
    monkeypatch.undo()
    with pytest.raises(SystemExit, match=r"click [\d.]+ is installed, not 0\.1"):
        licences.page("click==0.1\n")


@pytest.mark.parametrize("package", licences.NOT_INSTALLED)
def test_what_is_noted_of_packages_of_an_extra_is_what_they_say(package):
    """Where such a package is installed, and in the version that is pinned."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        assert f"| {package} | 1 | " in licences.page(f"{package}==1\n")
    else:
        assert licences.licence(package) == licences.NOT_INSTALLED[package]


def test_a_page_that_is_out_of_date_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(licences, "ROOT", tmp_path)
    monkeypatch.setattr(licences, "PAGE", tmp_path / "licences.md")
    (tmp_path / "constraints.txt").write_text(f"pytest=={pytest.__version__}\n")
    monkeypatch.setattr(sys, "argv", ["licences", "--check"])
    with pytest.raises(SystemExit, match="is out of date"):
        licences.main()
    monkeypatch.setattr(sys, "argv", ["licences"])
    licences.main()
    monkeypatch.setattr(sys, "argv", ["licences", "--check"])
    licences.main()


@pytest.mark.parametrize(
    ("found", "problem", "status", "said"),
    [
        ([SOUND], "", 0, "no known vulnerability in 1 packages"),
        ([SOUND, FLAWED], "", 1, "b 2: CVE-1, fixed in 2.1"),
        ([SOUND, UNKNOWN], "", 3, "SKIPPED, nothing is known about vulnerabilities of 1 of 2"),
        ([UNKNOWN, FLAWED], "", 1, "1 of 2 packages have known vulnerabilities"),
        ([], "no network", 3, "SKIPPED, nothing is known about vulnerabilities: no network"),
        ([], "", 3, "pip-audit named no package"),
    ],
)
def test_the_verdict_of_an_audit(found, problem, status, said):
    lines, code = verdict(found, problem)
    assert code == status and any(line.startswith(said) or said in line for line in lines)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A pip-audit that prints something, or none."""

    def make(script):
        if script is not None:
            file = tmp_path / "pip-audit"
            file.write_text(f"#!{sys.executable}\n{script}\n")
            file.chmod(0o755)
        monkeypatch.setattr(
            shutil, "which",
            lambda name, path=None: None if script is None else str(tmp_path / name),
        )  # fmt: skip

    return make


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "pip-audit is not installed"),
        ("import sys; sys.exit('ConnectionError: no route')", "without a network: Conn"),
        ("print('not JSON')", "it said nothing"),
    ],
)
@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--required"], 3)])
def test_an_audit_that_cannot_be_made_is_said_and_fails_where_required(
    program, monkeypatch, capsys, script, said, arguments, status
):
    program(script)
    monkeypatch.setattr(sys, "argv", ["audit", *arguments])
    with pytest.raises(SystemExit) as left:
        audit_dependencies.main()
    assert left.value.code == status
    out = capsys.readouterr().out
    assert out.startswith("SKIPPED, nothing is known") and said in out


def test_what_pip_audit_says_is_read(program, tmp_path):
    document = json.dumps({"dependencies": [SOUND, FLAWED], "fixes": []})
    program(f"print({document!r})\nraise SystemExit(1)")
    assert pip_audit(tmp_path / "constraints.txt") == ([SOUND, FLAWED], "")
