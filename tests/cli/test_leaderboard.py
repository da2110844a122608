"""`lampbench leaderboard` as a command: it writes and checks a set of pages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def leaderboard(call):
    return lambda *arguments: call("leaderboard", *arguments)


@pytest.fixture
def written(record, leaderboard, tmp_path):
    """A function that gives the text of every page after runs have been recorded and written."""
    record("cope")
    assert leaderboard()[0] == 0
    pages = [tmp_path / "leaderboard.md", *(tmp_path / "results" / "tables").glob("*.md")]
    return {path.relative_to(tmp_path).as_posix(): path for path in pages}


def test_write_then_check(record, leaderboard, tmp_path):
    record("cope")
    assert leaderboard("--check")[0] == 1
    assert not (tmp_path / "leaderboard.md").exists()
    assert not (tmp_path / "results" / "tables").exists()
    code, out, _ = leaderboard()
    assert code == 0 and "leaderboard.md: written" in out and "tables/main.md: written" in out
    code, out, _ = leaderboard()
    assert (code, len(out.splitlines())) == (0, 1) and "up to date" in out
    assert leaderboard("--check") == (0, "", "")
    record("oppu")
    code, out, err = leaderboard("--check")
    assert (code, out) == (1, "")
    assert "leaderboard.md: out of date from line" in err
    assert "tables/scores.md: out of date from line" in err
    assert "tables/paper.md" not in err
    assert "run `lampbench leaderboard --results results --output leaderboard.md`" in err
    assert "tables/paper.md" not in leaderboard()[1]
    assert leaderboard("--check")[0] == 0


def test_one_changed_byte_of_any_page_is_out_of_date(written, leaderboard):
    for name, path in written.items():
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        code, _, err = leaderboard("--check")
        assert code == 1 and f"{name}: out of date from line {len(before.splitlines()) + 1}" in err
        path.write_bytes(before.replace(b"# ", b"#  ", 1))
        assert leaderboard("--check")[0] == 1
        path.write_bytes(before)
    assert leaderboard("--check")[0] == 0


def test_a_missing_page_is_named_and_written(written, leaderboard):
    path = written["results/tables/gains.md"]
    path.unlink()
    code, _, err = leaderboard("--check")
    assert code == 1 and "tables/gains.md: missing" in err
    assert leaderboard()[1] == "results/tables/gains.md: written\n"
    assert path.exists()


def test_a_page_that_no_table_has_any_more_is_noticed(written, leaderboard, tmp_path):
    extra = tmp_path / "results" / "tables" / "old.md"
    extra.write_text("| old |\n")
    code, _, err = leaderboard("--check")
    assert code == 1 and "tables/old.md: no table has this name; delete it" in err
    code, out, err = leaderboard()
    assert code == 0 and "up to date" in out and "tables/old.md" in err
    assert extra.exists()


def test_links_lead_from_page_to_page(record, leaderboard, tmp_path):
    record("cope")
    (tmp_path / "docs").mkdir()
    assert leaderboard("--output", "docs/page.md")[0] == 0
    folder = tmp_path / "results" / "tables"
    assert "](../results/tables/main.md)" in (tmp_path / "docs" / "page.md").read_text()
    assert "](../../docs/page.md)" in (folder / "README.md").read_text()
    assert "](main.md)" in (folder / "README.md").read_text()


def test_runs_are_read_beside_their_tables(written, record, leaderboard):
    record("oppu", good=3)
    code, out, err = leaderboard()
    assert (code, err) == (0, "") and "leaderboard.md: written" in out


def test_problems_go_to_standard_error(record, leaderboard):
    run = record("cope")
    (run.path / "predictions.json.gz").write_text("")
    code, out, err = leaderboard()
    assert code == 0
    assert "predictions.json.gz was changed" in err
    assert "predictions" not in out


def test_bad_input(record, leaderboard, tmp_path):
    code, _, err = leaderboard()
    assert code == 2 and "results: no such folder" in err
    record("cope")
    (tmp_path / "file").write_text("")
    code, _, err = leaderboard("--output", "file/page.md")
    assert code == 2 and "page.md" in err and len(err.splitlines()) == 1


def test_the_command_needs_no_heavy_import(record, tmp_path):
    record("cope")
    record("oppu", good=3)
    code = (
        "import sys; from lampbench.cli.leaderboard import leaderboard; "
        "leaderboard(sys.argv[1:], standalone_mode=False); "
        "heavy = ('torch', 'transformers', 'peft', 'datasets', 'nltk', 'rouge_score', "
        "'scipy.stats'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, "--results", str(tmp_path / "results")]
    command += ["--output", str(tmp_path / "page.md")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
