"""Runs on disk: complete or not there, under safe names, and never silently altered."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lampbench.record.runs import escape, load_runs, read_run, run_path, unescape, write_run
from lampbench.util.errors import LampbenchError

ROOT = Path(__file__).parents[2]

HOSTILE = [
    "", ".", "..", "...", "a/b", "../../etc/passwd", "a\\b", "a\0b", " ", "a ", "a.", ".git", "-rf",
    "~", "~root", "a~b", "%", "%2F", "%2f", "a%00", "CON", "con", "Con.txt", "lpt9.x", "nul",
    "com10", "conference", "$(rm)", "a;b", "*?[x]", '"', "'", ":", "|", "<>", "\n", "\r\n",
    "\u2028", "\ud800", "é", "e\u0301", "日本語", "İ", "ß", "mistralai/Mistral-7B-Instruct-v0.3",
    "model--x", "x" * 500, "X" * 500, "/" * 90, "😀" * 60,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_escaped_names_are_safe(text):
    name = escape(text)
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-%~")
    assert not name.startswith((".", "-"))
    assert not name.endswith(".")
    assert len(name) <= 120
    stem = name.split(".")[0].lower()
    devices = {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
    assert stem not in {"con", "prn", "aux", "nul"} | devices
    assert Path("root", name).parts == ("root", name)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_escaping_is_undone(text):
    name = escape(text)
    if "~~" in name:
        with pytest.raises(ValueError, match="too long"):
            unescape(name)
    else:
        assert unescape(name) == text


def test_escaping_is_undone_for_random_text():
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choice("aA./\\%~ -é\0\ud800😀") for _ in range(draw.randrange(12)))
        assert unescape(escape(text)) == text


def test_distinct_names_stay_distinct_where_case_is_ignored():
    names = [*HOSTILE, "Alice", "alice", "ALICE", "a%2Fb", "y" * 500, "x" * 499, "é".upper()]
    folded = {escape(name).lower() for name in names}
    assert len(folded) == len(set(names))


def test_plain_names_stay_readable():
    assert escape("news_headline") == "news_headline"
    assert escape("a/b") == "a%2Fb"
    assert escape("Qwen/Qwen2.5").startswith("Qwen%2FQwen2.5~")


@pytest.mark.parametrize("name", ["", "a b", "a%2f", "%ZZ", "%FF", "x~12345678", "é", ".."])
def test_names_that_escape_never_gives_are_refused(name):
    with pytest.raises(ValueError, match="no escaped name"):
        unescape(name)


def manifest(**changes):
    return {
        "key": "k1", "method": "base", "task": "news_headline", "model": "org/Model", "seed": 0,
        "preset": "paper", "fidelity": "paper", "overrides": {}, "parts": {},
        "dataset": {"source": "bundled", "fingerprint": "d", "query_fingerprint": "q",
                    "synthetic": False},
        "model_info": {}, "created": "2026-01-01T00:00:00+00:00", **changes,
    }  # fmt: skip


PREDICTIONS = [
    {
        "user": "../u",
        "query": "1",
        "prediction": "half \ud83d and line \u2028 end",
        "reference": "r",
    },
    {"user": "../u", "query": "2", "prediction": "", "reference": None},
]
SCORES = [
    {"user": "../u", "query": "1", "rouge1": 0.1 + 0.2, "reference_words": 1},
    {"user": "../u", "query": "2", "rouge1": None, "reference_words": None},
]


def write(root, **changes):
    return write_run(root, manifest(**changes), PREDICTIONS, SCORES)


def test_what_is_written_is_read(tmp_path):
    run = write(tmp_path)
    assert run.path == run_path(tmp_path, "news_headline", "org/Model", "base", "k1")
    (loaded,), problems = load_runs(tmp_path)
    assert problems == []
    assert loaded == run == read_run(run.path)
    assert loaded.predictions == PREDICTIONS
    assert loaded.scores == SCORES
    assert loaded.manifest["scores"]["rouge1"] == {"queries": 0.1 + 0.2, "users": 0.1 + 0.2}
    assert loaded.manifest["counts"]["scored_queries"] == 1
    assert sorted(path.name for path in run.path.iterdir()) == [
        "manifest.json",
        "predictions.jsonl",
        "scores.jsonl",
    ]


def test_nothing_recorded_is_no_problem(tmp_path):
    assert load_runs(tmp_path / "absent") == ([], [])
    (tmp_path / "task" / "model").mkdir(parents=True)
    (tmp_path / ".git" / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "README.md").write_text("notes")
    assert load_runs(tmp_path) == ([], [])


def test_a_recorded_run_is_replaced_only_on_demand(tmp_path):
    write(tmp_path)
    with pytest.raises(LampbenchError, match="recorded already"):
        write(tmp_path)
    run = write_run(tmp_path, manifest(created="later"), PREDICTIONS, SCORES, replace=True)
    assert load_runs(tmp_path)[0][0].manifest["created"] == "later"
    assert [path.name for path in run.path.parent.iterdir()] == ["k1"]


def test_unequal_queries_are_refused(tmp_path):
    with pytest.raises(ValueError, match="same queries"):
        write_run(tmp_path, manifest(), PREDICTIONS, SCORES[::-1])
    with pytest.raises(ValueError, match="same queries"):
        write_run(tmp_path, manifest(), PREDICTIONS * 2, SCORES * 2)
    with pytest.raises(ValueError, match="lacks seed"):
        write(tmp_path, seed="0")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LampbenchError, match="No space left"):
        write(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.name != "base"][2:] == []
    assert load_runs(tmp_path) == ([], [])


def test_a_failed_replacement_restores_the_old_run(tmp_path, monkeypatch):
    old = write(tmp_path)
    rename = Path.rename

    def refuse(self, target):
        if self.name.startswith(".tmp-"):
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(LampbenchError, match="Permission denied"):
        write_run(tmp_path, manifest(created="later"), PREDICTIONS, SCORES, replace=True)
    assert load_runs(tmp_path) == ([old], [])


KILL = """
import json, os, sys
from pathlib import Path
from lampbench.record.runs import write_run

root, step = Path(sys.argv[1]), int(sys.argv[2])
done = 0
def at(function):
    def call(*arguments):
        global done
        done += 1
        if done == step:
            os._exit(9)
        return function(*arguments)
    return call
os.fsync, Path.rename = at(os.fsync), at(Path.rename)
write_run(root, *json.loads(sys.argv[3]))
"""


@pytest.mark.parametrize("step", range(1, 7))
def test_a_killed_writer_leaves_no_run(tmp_path, step):
    given = json.dumps([manifest(), PREDICTIONS, SCORES])
    command = [sys.executable, "-c", KILL, str(tmp_path), str(step), given]
    assert subprocess.run(command, cwd=ROOT).returncode == 9
    final = run_path(tmp_path, "news_headline", "org/Model", "base", "k1")
    runs, problems = load_runs(tmp_path)
    if step <= 5:  # three files, their folder, the renaming
        assert not final.exists()
        assert runs == []
        assert "half-written" in str(problems[0])
        assert str(tmp_path) in str(problems[0])
        run = write(tmp_path)
    else:  # only the parent folder was not yet flushed
        (run,) = runs
    assert load_runs(tmp_path) == ([run], [])
    assert [path.name for path in final.parent.iterdir()] == ["k1"]


def edit(file, old, new):
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: edit(p / "predictions.jsonl", b"half", b"full"), "predictions.jsonl was"),
        (lambda p: edit(p / "scores.jsonl", b"0.3", b"0.9"), "scores.jsonl was changed"),
        (lambda p: (p / "scores.jsonl").unlink(), "scores.jsonl is missing"),
        (lambda p: (p / "manifest.json").unlink(), "half-written"),
        (lambda p: edit(p / "manifest.json", b'"format": 1', b'"format": 2'), "format 2"),
        (lambda p: edit(p / "manifest.json", b'"format": 1', b'"formal": 1'), "format None"),
        (lambda p: (p / "manifest.json").write_bytes(b"{"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"\xff"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"[" * 100_000), "cannot be read"),
        (lambda p: (p / "manifest.json").write_bytes(b"[]"), "not an object"),
        (lambda p: edit(p / "manifest.json", b'"seed": 0', b'"seed": "0"'), "lacks seed"),
        (lambda p: edit(p / "manifest.json", b'"synthetic"', b'"x"'), "lacks dataset.synthetic"),
        (lambda p: edit(p / "manifest.json", b'"seed"', b'"stages": [1], "seed"'), "no list"),
        (lambda p: edit(p / "manifest.json", b'"seed"', b'"failed_users": [], "seed"'),
         "failed_users"),
        (lambda p: edit(p / "manifest.json", b'"seed"', b'"failed_users": {"u": 1}, "seed"'),
         "failed_users"),
        (lambda p: edit(p / "manifest.json", b'"seed"', b'"failed_users": {"u": "x"}, "seed"'),
         "lacks dataset.test_users"),
        (lambda p: edit(p / "manifest.json", b"predictions.jsonl", b"x"), "does not record"),
        (lambda p: edit(p / "manifest.json", b"0.3000", b"0.9000"), "not the means"),
        (lambda p: edit(p / "manifest.json", b'"rouge1"', b'"rouge2"'), "not the means"),
        (lambda p: edit(p / "manifest.json", b'"method": "base"', b'"method": "b"'), "belongs to"),
        (lambda p: p.rename(p.with_name("k2")), "belongs to news_headline/"),
        (lambda p: p.rename(p.parent.parent / "k1"), "belongs to news_headline/"),
    ],
)  # fmt: skip
def test_damaged_runs_are_named_and_left_out(tmp_path, damage, reason):
    sound = write(tmp_path, key="k0")
    path = write(tmp_path).path
    damage(path)
    runs, problems = load_runs(tmp_path)
    assert runs == [sound]
    (problem,) = problems
    assert reason in str(problem)
    assert "\n" not in str(problem)
    with pytest.raises(LampbenchError):
        read_run(problem.path)


def test_scores_that_are_no_numbers_are_a_problem(tmp_path):
    path = write(tmp_path).path
    (path / "scores.jsonl").write_text('{"user": "u", "query": "1", "rouge1": "high"}\n')
    from lampbench.util.hashing import file_digest

    loaded = json.loads((path / "manifest.json").read_text())
    loaded["files"]["scores.jsonl"] = file_digest(path / "scores.jsonl")
    loaded["counts"] = {"users": 1, "queries": 1, "scored_users": 1, "scored_queries": 1}
    (path / "manifest.json").write_text(json.dumps(loaded))
    assert "cannot be read" in str(load_runs(tmp_path)[1][0])


def test_order_does_not_depend_on_the_file_system(tmp_path):
    for key in ("b", "a", "c"):
        write(tmp_path, key=key)
    assert [run.manifest["key"] for run in load_runs(tmp_path)[0]] == ["a", "b", "c"]
