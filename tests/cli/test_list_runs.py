"""`lampbench list runs`: what was run, on what, when, and how it may be filtered."""

import json
import re

import pytest

from lampbench.report.find_runs import find_run


@pytest.fixture
def several(record):
    """Runs of two methods on two tasks, one of them with overrides."""
    ours = {"model_details": {"engine": "batched"}}
    record("cope", key="aaaaaaaa11111111", **ours)
    record("cope", key="aaaaaaaa22222222", seed=1, **ours)
    record("cope", key="bbbbbbbb33333333", overrides={"decoding.alpha": 0.5}, **ours)
    record("oppu", key="cccccccc44444444", model="org/a-model", **ours)
    record("cope", "review_writing", key="dddddddd55555555",
           model_details={"engine": "reference"})  # fmt: skip


def rows(out):
    return {line.split()[0]: line.split()[1:] for line in out.splitlines()
            if re.match("[a-f0-9]{8}", line)}  # fmt: skip


def test_runs_stand_under_what_they_share(several, call):
    code, out, err = call("list", "runs")
    assert (code, err) == (0, "")
    headings = [line for line in out.splitlines() if "preset" in line]
    assert headings == [
        "news_headline, bundled, preset small, data bundled, 2 users, engine batched",
        "news_headline, org/a-model, preset small, data bundled, 2 users, engine batched",
        "review_writing, bundled, preset small, data bundled, 2 users, engine reference",
    ]
    assert rows(out) == {
        "aaaaaaaa1": ["cope", "0", "0.333", "2026-01-01"],
        "aaaaaaaa2": ["cope", "1", "0.333", "2026-01-01"],
        "bbbbbbbb3": ["cope", "0", "0.333", "2026-01-01", "decoding.alpha=0.5"],
        "cccccccc4": ["oppu", "0", "0.333", "2026-01-01"],
        "dddddddd5": ["cope", "0", "0.333", "2026-01-01"],
    }
    assert max(map(len, out.splitlines())) <= 80


def test_a_key_that_is_shown_is_one_that_commands_take(several, call, tmp_path):
    for key in rows(call("list", "runs")[1]):
        assert find_run(tmp_path / "results", key).path.name.startswith(key)


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        (["--method", "oppu"], "c"),
        (["--method", "oppu", "--method", "cope", "--task", "news_headline"], "aabc"),
        (["--task", "review_writing"], "d"),
        (["--model", "org/a-model"], "c"),
        (["--seed", "1"], "a"),
        (["--seed", "1", "--seed", "0", "--method", "cope"], "aabd"),
        (["--seed", "1", "--method", "oppu"], ""),
    ],
)
def test_filters(several, call, filters, shown):
    code, out, err = call("list", "runs", *filters)
    assert code == 0 and "".join(sorted(key[0] for key in rows(out))) == shown
    assert err == ("" if shown else "results: no run matches\n")
    found = json.loads(call("list", "runs", *filters, "--format", "json")[1])["runs"]
    assert "".join(sorted(run["key"][0] for run in found)) == shown


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        (["--method", "cop"], "no run has method 'cop': did you mean cope?"),
        (["--task", "news"], "no run has task 'news': did you mean news_headline?"),
        (["--seed", "7"], "no run has seed 7: there are 0, 1"),
        (["--model", "bundle"], "no run has model 'bundle': did you mean bundled?"),
    ],
)
def test_a_filter_that_no_run_has(several, call, filters, said):
    assert call("list", "runs", *filters) == (2, "", f"error: results: {said}\n")


def test_json_has_what_was_asked_and_found(several, record, call):
    damaged = record("tam", key="eeee")
    (damaged.path / "manifest.json").write_text("{}")
    code, out, err = call("list", "runs", "--format", "json")
    assert code == 0 and out.isascii() and "eeee: left out" in err
    found = json.loads(out)
    assert [left["path"] for left in found["left_out"]] == [
        "results/news_headline/bundled/tam/eeee"
    ]
    run = next(run for run in found["runs"] if run["key"].startswith("b"))
    assert run.pop("scores")["rougeL"] == pytest.approx(1 / 3)
    assert run == {
        "key": "bbbbbbbb33333333",
        "submitted_by": None,
        "max_history": None,
        "path": "results/news_headline/bundled/cope/bbbbbbbb33333333",
        "method": "cope",
        "task": "news_headline",
        "model": "bundled",
        "seed": 0,
        "preset": "small",
        "fidelity": "paper",
        "overrides": {"decoding.alpha": 0.5},
        "data": "bundled",
        "synthetic": False,
        "data_findings": [],
        "model_notes": [],
        "users": 2,
        "queries": 3,
        "failed_users": [],
        "engine": "batched",
        "created": "2026-01-01T00:00:00+00:00",
    }


def test_what_sets_runs_apart_is_in_the_heading(record, call):
    record("cope", key="k1", fidelity="reference", overrides={"task_sft.targets": ["q", "k"]})
    record("cope", key="k2", external={"file": "x", "sha256": "0"})
    record("cope", key="k3", failed_users={"a": "diverged"}, dataset={"test_users": 3})
    out = call("list", "runs")[1]
    assert "preset small, fidelity reference, data" in out and "task_sft.targets=q,k" in out
    assert "engine external" in out and "engine unknown" in out
    assert "2 users (1 failed)" in " ".join(out.split())


def test_many_damaged_folders_are_counted(record, call, tmp_path):
    for number in range(13):
        (record("cope", key=f"k{number}").path / "manifest.json").write_text("{}")
    code, out, err = call("list", "runs")
    *named, last, nothing = err.splitlines()
    assert (code, out, nothing) == (0, "", "results: no run is recorded")
    assert len(named) == 10 and all(": left out: " in line for line in named)
    assert last == "3 more folders are left out; `lampbench list runs --format json` lists them"
    found = json.loads(call("list", "runs", "--format", "json")[1])
    assert len(found["left_out"]) == 13


def test_nothing_is_recorded(call, tmp_path):
    (tmp_path / "results").mkdir()
    assert call("list", "runs") == (0, "", "results: no run is recorded\n")
    assert json.loads(call("list", "runs", "--format", "json")[1]) == {"runs": [], "left_out": []}


def test_a_folder_that_is_not_there_is_refused(call):
    code, out, err = call("list", "runs", "--results", "nowhere", "--format", "json")
    assert (code, out) == (2, "") and err.startswith("error: nowhere: no such folder")


def test_hostile_names_stay_on_their_line(record, call):
    record("a\x1b[2J\nb", key="\x1bkey", model="m\ud83d")
    out = call("list", "runs")[1]
    assert "\x1b" not in out and "a [2J b" in out
