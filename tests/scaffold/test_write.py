"""What `lampbench new` writes keeps the contract, passes its own tests, and is lint-free."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lampbench.cli.main import main
from lampbench.contract.check import check_plugin
from lampbench.registry import Kind
from lampbench.scaffold.write import write_package, write_plugin
from lampbench.util.errors import LampbenchError

KINDS: list[Kind] = ["method", "task", "metric"]
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "lampbench.testing"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_keeps_the_contract_and_passes_its_own_tests(
    kind, tmp_path, lampbench_workshop, python
):
    file, own_test = write_plugin(kind, f"my_{kind}", tmp_path)
    found = list(check_plugin(kind, f"my_{kind}", lampbench_workshop, plugins=[str(file)]))
    assert {one.verdict for one in found} == {"passed"}, found
    done = python(*PYTEST, str(own_test), cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout and "failed" not in done.stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", [write_plugin, write_package])
def test_what_is_written_is_free_of_lint(kind, write, tmp_path, root):
    made = write(kind, f"my_{kind}", tmp_path)
    ruff = [sys.executable, "-m", "ruff", "check", "--config", str(root / "pyproject.toml")]
    options = ["--ignore", "D", "--config", "lint.isort.known-third-party=['lampbench']"]
    done = subprocess.run([*ruff, *options, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    python_files = [str(file) for file in made if file.suffix == ".py"]
    line = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "100"]
    done = subprocess.run([*line, *python_files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_package_installs_keeps_the_contract_and_passes_its_own_tests(tmp_path, python):
    made = write_package("method", "fancy", tmp_path)
    home = made[0].parent
    site = tmp_path / "site"
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = python(*pip, "--target", str(site), str(home))
    assert done.returncode == 0, done.stderr
    done = python("-m", "lampbench", "check", "method", "fancy", "--format", "json",
                  path=[site], cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["kept"] is True
    done = python(*PYTEST, path=[site], cwd=home)
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout
    assert {file.name for file in made} == {
        "pyproject.toml", "README.md", "LICENSE", "__init__.py", "fancy.py", "test_fancy.py",
    }  # fmt: skip


def test_nothing_is_overwritten(tmp_path):
    file, own_test = write_plugin("metric", "mine", tmp_path)
    file.unlink()
    own_test.write_text("kept")
    with pytest.raises(LampbenchError, match=r"test_mine\.py: exists already"):
        write_plugin("metric", "mine", tmp_path)
    assert own_test.read_text() == "kept" and not file.exists()


@pytest.mark.parametrize("name", ["My", "1st", "a-b", "../x", "class", ""])
def test_a_name_that_is_none_is_refused(name, tmp_path):
    with pytest.raises(LampbenchError, match="cannot be a plugin's name"):
        write_plugin("method", name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(LampbenchError, match="a metric called 'bleu' exists already"):
        write_plugin("metric", "bleu", tmp_path)


def test_beside_the_built_in_methods_there_is_no_test(monkeypatch, tmp_path):
    methods = importlib.import_module("lampbench.methods")
    monkeypatch.setattr(methods, "__path__", [str(tmp_path)])
    assert [file.name for file in write_plugin("method", "mine", tmp_path)] == ["mine.py"]


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["new", "metric", "mine"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert out == ("mine.py\ntest_mine.py\n\nNext: lampbench check metric mine --plugins mine.py\n")
    assert Path("mine.py").is_file()
