"""Scores by number of records: which runs are in which row, and that they are in no other table."""

import json

import pytest

from tests.report.page.parsed import built

SCORES = {"a": [0.1, 0.3], "b": [0.5, 0.7]}


def data(most, **changes):
    options = {"data": "bundled", "users": None, "min_history": 1, "seed": 0, "split_by": None,
               "splits": [], "max_history": most}  # fmt: skip
    cut = {"fingerprint": f"cut-{most}", "cut_from": "whole"} if most else {"fingerprint": "whole"}
    return {"options": options, **cut, **changes}


@pytest.fixture
def of_length(scored):
    """A function that records a run whose scores are all `score`, on histories of one length."""

    def make(method, most, score, **changes):
        scores = {f"u{i}": [score, score + 0.001 * i] for i in range(8)}
        described = data(most, **changes.pop("dataset", {}))
        key = changes.pop("key", f"{method}-{most}-{changes.get('seed', 0)}")
        return scored(method, scores, dataset=described, key=key, **changes)

    return make


def test_lengths_are_rows_and_the_best_of_each_method_is_marked(of_length, read, cells):
    for most, score in ((None, 0.6), (16, 0.7), (2, 0.3)):
        of_length("oppu", most, score)
    of_length("rag", 2, 0.4)
    of_length("tam", None, 0.9)
    table = cells(read("history"), "News Headline: ROUGE-1", marks=True)
    assert list(table) == ["2", "16", "all"]
    assert [row["OPPU"][:9] for row in table.values()] == ["0.302 [0.", "**0.702**", "0.602 [0."]
    assert [row["RAG"][:6].strip() for row in table.values()] == ["0.402", "no run", "no run"]
    assert "TAM" not in table["2"], "it has no run on cut histories"


def test_lengths_of_a_plugin_that_was_edited_are_not_compared(of_length, read, cells):
    of_length("oppu", 2, 0.3, plugins={"method": "aaaa"})
    new = {"plugins": {"method": "bbbb"}, "created": "2026-05-01T00:00:00+00:00"}
    for most in (4, None):
        of_length("oppu", most, 0.6, **new)
    assert list(cells(read("history"), "News Headline: ROUGE-1")) == ["4", "all"]
    reason = "max-history 2: earlier defaults: the plugin's code aaaa (now bbbb)"
    assert reason in read("excluded-runs")


def test_lengths_with_one_seed_are_named(of_length, read):
    for most in (None, 2):
        of_length("oppu", most, 0.6)
        of_length("oppu", most, 0.6, seed=1)
        of_length("tam", most, 0.5)
    assert "One seed only, where others have several: TAM: 2, all." in read("history")


def test_runs_of_other_lengths_fill_no_other_cell(of_length, read, cells):
    of_length("oppu", None, 0.6)
    of_length("oppu", 1, 0.2, created="2026-05-01T00:00:00+00:00")
    of_length("rag", 1, 0.3)
    table = cells(read("main"), "bundled, preset small, data bundled", "ROUGE-1")
    assert table["OPPU"]["News Headline"].startswith("0.602")
    assert table["RAG"]["News Headline"] == "no run"
    assert "cut-1" not in read("data")
    assert "No run is recorded" in read("excluded-runs")


def test_lengths_of_other_data_are_in_a_table_of_their_own(of_length, read, cells):
    of_length("oppu", 1, 0.2)
    of_length("oppu", 4, 0.3, dataset={"cut_from": "other", "query_fingerprint": "others"})
    text = read("history")
    assert list(cells(text, "News Headline (data whole): ROUGE-1")) == ["1"]
    assert list(cells(text, "News Headline (data other): ROUGE-1")) == ["4"]


def test_all_lengths_are_of_the_seeds_that_they_have_in_common(of_length, read, cells):
    of_length("oppu", 1, 0.2)
    for seed, score in ((0, 0.4), (1, 0.8)):
        of_length("oppu", None, score, seed=seed)
    table = cells(read("history"), "News Headline: ROUGE-1")
    assert table["all"]["OPPU"].startswith("0.402")


def test_changed_settings_and_earlier_runs_are_excluded_with_their_length(of_length, read, cells):
    of_length("oppu", 4, 0.2)
    of_length("oppu", 4, 0.9, key="changed", overrides={"user_sft.rank": 4})
    assert list(cells(read("history"), "News Headline: ROUGE-1")) == ["4"]
    assert "0.902" not in read("history")
    row = cells(read("excluded-runs"), "Runs in no other table")["News Headline"]
    assert row["What differs"] == "max-history 4: user_sft.rank=4"


@pytest.mark.parametrize("newest", [None, 4])
def test_lengths_that_answer_other_queries_than_the_newest_are_excluded(
    of_length, scored, call, newest
):
    """As after a user was removed from the runs that there were, and not from the data."""
    for most in (1, None if newest else 4):
        of_length("oppu", most, 0.2)
    more = {f"u{i}": [0.3, 0.4] for i in range(9)}
    scored("oppu", more, key="new", dataset=data(newest), created="2126-05-01T00:00:00+00:00")
    code, out, _ = call("table", "history")
    assert code == 0 and "| 1 " not in out and ("| 4 " in out) == (newest == 4)
    code, out, _ = call("table", "excluded-runs")
    assert code == 0 and "max-history 1: answers other queries than the newest run" in out


def test_costs_are_per_user(of_length, read, cells, call):
    stages = [
        {"stage": "user_sft", "trained_tokens": 800, "seconds": 4.0},
        {"stage": "predict", "prompt_tokens": 60, "new_tokens": 20, "seconds": 4.0},
    ]
    of_length("oppu", 4, 0.2, stages=stages)
    assert cells(read("history"), "News Headline: tokens per user")["4"]["OPPU"] == "110"
    found = json.loads(call("table", "history", "--format", "json")[1])
    assert {(one["max_history"], one["tokens_per_user"], one["seconds_per_user"])
            for one in found} == {(4, 110.0, 1.0)}  # fmt: skip


def test_without_such_runs_the_table_is_empty(of_length, call):
    of_length("oppu", None, 0.6)
    code, out, err = call("table", "history")
    assert (code, out) == (0, "") and "no run is recorded for this table" in err


def test_the_page_draws_a_line_per_method(of_length):
    runs = [of_length("oppu", most, score) for most, score in ((None, 0.6), (2, 0.2), (16, 0.4))]
    runs += [of_length("rag", 2, 0.4)]
    page = built(*runs)
    (said,) = page.labels("records give")
    assert said == (
        "ROUGE-L by records: RAG: 2 records give 0.201; OPPU: 2 records give 0.101, "
        "16 records give 0.201, all records give 0.301"
    )
    assert "max-history 16" in page.text
    assert "No run on cut histories" in built(runs[0]).text
