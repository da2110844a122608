"""`lampbench tables` as a command."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lampbench.cli.tables import tables
from lampbench.util.errors import LampbenchError


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(tables, arguments)


def test_write_then_check(record, call, tmp_path):
    record("cope")
    assert call("--check").exit_code == 1
    assert not (tmp_path / "leaderboard.md").exists()
    assert call().output == "leaderboard.md: written\n"
    assert call().output == "leaderboard.md: up to date\n"
    assert call("--check").exit_code == 0
    record("oppu")
    result = call("--check")
    assert result.exit_code == 1
    assert "leaderboard.md is stale from line" in result.stderr
    assert "run `lampbench tables" in result.stderr


def test_one_changed_byte_is_stale(record, call, tmp_path):
    record("cope")
    call()
    file = tmp_path / "leaderboard.md"
    file.write_bytes(file.read_bytes().replace(b"no run", b"no  run", 1))
    assert call("--check").exit_code == 1
    file.write_bytes(file.read_bytes().replace(b"no  run", b"no run", 1) + b"\n")
    assert call("--check").exit_code == 1


def test_problems_go_to_standard_error(record, call):
    run = record("cope")
    (run.path / "predictions.json.gz").write_text("")
    result = call()
    assert result.exit_code == 0
    assert "predictions.json.gz was changed" in result.stderr
    assert "predictions" not in result.stdout


def test_bad_input(record, call, tmp_path):
    assert isinstance(call().exception, LampbenchError)
    record("cope")
    result = call("--output", "missing/folder/page.md")
    assert isinstance(result.exception, LampbenchError)
    assert "--output" in str(result.exception)
    assert not (tmp_path / "missing").exists()


def test_the_command_needs_no_heavy_import(record, tmp_path):
    record("cope")
    record("oppu", good=3)
    code = (
        "import sys; from lampbench.cli.tables import tables; "
        "tables(sys.argv[1:], standalone_mode=False); "
        "heavy = ('torch', 'transformers', 'peft', 'datasets', 'nltk', 'rouge_score'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, "--results", str(tmp_path / "results")]
    command += ["--output", str(tmp_path / "page.md")]
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
