"""What the page says of runs from elsewhere and of metrics beside overlap."""

from dataclasses import replace

import pytest

from lampbench.record.runs import load_runs
from lampbench.record.write import write_run
from lampbench.report.leaderboard import leaderboard

MAIN = ("Main table", "bundled, preset small, data bundled")
ELSEWHERE = {
    "external": {"file": "x.json", "sha256": "0"},
    "preset": "external",
    "fidelity": "external",
    "hyperparameters": {},
    "method_title": "CoPe",
    "model_details": {"location": "bundled"},
}


@pytest.fixture
def read(tmp_path):
    return lambda: leaderboard(tmp_path / "results")[0]


def test_an_external_run_stands_marked_beside_our_own(record, read, cells):
    record("cope", good=3)
    record("cope", good=6, key="theirs", **ELSEWHERE)
    text = read()
    table = cells(text, *MAIN, "ROUGE-1")
    assert table["CoPe"]["News Headline"] == "0.200"
    assert table["CoPe ‡"]["News Headline"] == "0.400"
    assert table["CoPe ‡"]["News Headline, paper"] == "—"
    assert "preset external" not in text
    for part in text.split("\n#"):
        assert ("‡ External: answered elsewhere" in part) == ("CoPe ‡" in part)


def test_seeds_of_an_external_method_are_averaged(record, read, cells):
    record("base")
    record("cope", good=3, key="t0", **ELSEWHERE)
    record("cope", good=6, key="t1", seed=1, **ELSEWHERE)
    record("cope", good=9, key="t2", seed=1, created="2025-01-01T00:00:00+00:00", **ELSEWHERE)
    text = read()
    assert cells(text, *MAIN, "ROUGE-1")["CoPe ‡"]["News Headline"] == "0.300"
    other = cells(text, "Runs in no table above")["News Headline"]
    assert (other["Method"], other["Run"]) == ("CoPe ‡", "t2")


@pytest.mark.parametrize("changes", [{"model": "other"}, {"dataset": {"fingerprint": "more"}}])
def test_an_external_run_alone_has_a_setup_of_its_own(record, read, changes):
    record("cope", good=3)
    record("cope", good=6, key="theirs", **{**ELSEWHERE, **changes})
    first, *sections = read().split("## Ablation")[0].split("\n### ")
    (own,) = [part for part in sections if "preset small, data bundled" in part.splitlines()[0]]
    (other,) = [part for part in sections if "preset external" in part.splitlines()[0]]
    assert "Main table" in first
    assert "0.400" not in own
    assert any(line.startswith("| CoPe ‡") and "0.400" in line for line in other.splitlines())


def test_no_mark_without_external_runs(record, read):
    record("cope")
    assert "‡" not in read()


def test_metrics_beside_overlap_have_a_table(record, read, cells):
    record("cope", good=6)
    row = cells(read(), *MAIN, "Beyond overlap")["News Headline"]
    # of 9 pairs of words 5 are the reference's, 3 of 4 others are one pair: 6 + 1 distinct
    assert row["ROUGE-2"] == f"{2 / 3 * 5 / 9:.3f}"
    assert row["Length ratio"] == "1.00"
    assert (row["Style"], row["Copied from history"]) == ("n/a", "n/a")
    assert "n/a: the manifest says why" in read()


def test_old_runs_show_what_they_have(record, read, tmp_path, cells):
    old = record("cope", good=6)
    names = ("rouge1", "rougeL", "meteor", "words", "reference_words", "truncated",
             "repetition")  # fmt: skip
    scores = replace(old.scores, columns={name: old.scores.columns[name] for name in names})
    write_run(tmp_path / "results", old.manifest, old.predictions, scores, replace=True)
    assert "Beyond overlap" not in read()
    assert cells(read(), *MAIN, "Controls")["News Headline"]["ROUGE-1"] == "0.400"
    record("oppu", good=3)
    table = read().split("#### Beyond overlap")[1].split("\n#")[0]
    assert "OPPU" in table and "CoPe" not in table


def test_a_run_of_one_seed_without_the_later_columns_is_not_averaged(record, read, tmp_path, cells):
    old = record("cope", good=6)
    columns = {name: c for name, c in old.scores.columns.items() if name != "rouge2"}
    scores = replace(old.scores, columns=columns)
    write_run(tmp_path / "results", old.manifest, old.predictions, scores, replace=True)
    record("cope", good=6, seed=1)
    assert cells(read(), *MAIN, "Beyond overlap")["News Headline"]["ROUGE-2"] == "n/a"
    assert load_runs(tmp_path / "results")[1] == []
