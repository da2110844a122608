"""Metrics beside the main ones: the built-in ones, those of plugins, and unknown ones."""

import json
from dataclasses import replace

import pytest

from lampbench.record.runs import load_runs
from lampbench.record.write import write_run
from lampbench.scoring import ScoringDescription

SETUP = "bundled, preset small, data bundled"


def test_metrics_beside_overlap_have_a_table(record, read, cells):
    record("cope", good=6)
    row = cells(read("further-metrics"), SETUP, "Further metrics")["News Headline"]
    # of 9 pairs of words 5 are the reference's, 3 of 4 others are one pair: 6 + 1 distinct
    assert row["ROUGE-2"] == f"{2 / 3 * 5 / 9:.3f}"
    assert row["Length ratio"] == "1.00"
    assert (row["Style"], row["Copied from history"]) == ("n/a", "n/a")
    assert "n/a: the run's manifest says why" in read("further-metrics")


def test_old_runs_show_what_they_have(record, read, tmp_path, cells):
    old = record("cope", good=6)
    names = ("rouge1", "rougeL", "meteor", "words", "reference_words", "truncated",
             "repetition")  # fmt: skip
    scores = replace(old.scores, columns={name: old.scores.columns[name] for name in names})
    write_run(tmp_path / "results", old.manifest, old.predictions, scores, replace=True)
    assert "No run is recorded" in read("further-metrics")
    assert cells(read("scores"), SETUP, "Scores")["News Headline"]["ROUGE-1"] == "0.400"
    record("oppu", good=3)
    table = read("further-metrics")
    assert "OPPU" in table and "CoPe" not in table


def test_a_run_of_one_seed_without_the_later_columns_is_not_averaged(record, read, tmp_path, cells):
    old = record("cope", good=6)
    columns = {name: c for name, c in old.scores.columns.items() if name != "rouge2"}
    scores = replace(old.scores, columns=columns)
    write_run(tmp_path / "results", old.manifest, old.predictions, scores, replace=True)
    record("cope", good=6, seed=1)
    assert (
        cells(read("further-metrics"), SETUP, "Further metrics")["News Headline"]["ROUGE-2"]
        == "n/a"
    )
    assert load_runs(tmp_path / "results")[1] == []


@pytest.fixture
def with_metric(record, tmp_path):
    """A function that records a run with one more metric, from a plugin that is not here."""

    def make(method, name="humour", value=0.12345, **changes):
        run = record(method, **changes)
        values = tuple(value + place for place in range(len(run.scores)))
        scores = replace(run.scores, columns={**run.scores.columns, name: values})
        return write_run(tmp_path / "results", run.manifest, run.predictions, scores, replace=True)

    return make


def test_a_metric_that_is_unknown_here_has_a_column_with_its_name(with_metric, record, read, cells):
    with_metric("cope")
    record("oppu")
    table = read("further-metrics")
    lines = [line for line in table.splitlines() if line.startswith("| News Headline")]
    assert [line.split("|")[-2].strip() for line in lines] == ["n/a", "1.123"]
    assert "| humour |" in table.replace("  ", "")
    assert "humour" not in read("scores") and "humour" not in read("main")


def test_an_excluded_run_may_have_an_unknown_metric(with_metric, read, cells):
    with_metric("cope", overrides={"user_sft.rank": 4})
    row = cells(read("excluded-runs"), "Runs in no other table")["News Headline"]
    assert row["ROUGE-1"] == "0.333"
    assert "No run is recorded" in read("further-metrics")


def test_an_unknown_metric_is_in_the_tables_for_programs(with_metric, call):
    with_metric("cope")
    with_metric("oppu", overrides={"user_sft.rank": 4})
    for name in ("further-metrics", "excluded-runs"):
        code, out, err = call("table", name, "--format", "json")
        assert (code, err) == (0, "")
        (one,) = [entry for entry in json.loads(out) if entry["metric"] == "humour"]
        assert one["mean"] == pytest.approx(1.12345)
        assert one["low"] < one["mean"] < one["high"]


def test_a_metric_that_the_registry_knows_is_shown_as_it_says(with_metric, read):
    with_metric("cope", name="bertscore", value=-0.5)
    assert "| BERTScore |" in read("further-metrics").replace("  ", "")


def test_scores_by_different_settings_are_told(with_metric, read, tmp_path):
    """As of two judges, one after the other: nothing else in the table tells them apart."""
    for method, settings in (("cope", "model:x"), ("oppu", "model:y"), ("rag", "model:x")):
        run = with_metric(method, name="judge", value=3.0)
        described = ScoringDescription({"judge": settings}, {}, {})
        manifest = replace(run.manifest, scoring=described)
        write_run(tmp_path / "results", manifest, run.predictions, run.scores, replace=True)
        told = "settings, which cannot be compared" in read("further-metrics")
        assert told == (method != "cope")
    assert "model:x: RAG, CoPe; model:y: OPPU." in read("further-metrics")


def test_every_format_and_page_survives_an_unknown_metric(with_metric, call, tmp_path):
    with_metric("cope")
    with_metric("oppu", overrides={"user_sft.rank": 4})
    assert call("leaderboard")[0] == 0
    assert call("table", "further-metrics", "--format", "latex")[0] == 0
    assert call("report")[0] == 0
    keys = [run.manifest.key for run in load_runs(tmp_path / "results")[0]]
    assert call("compare", *keys)[0] == 0
