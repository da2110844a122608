"""Scores and differences by repetition penalty: which runs are in which row and column."""

import json
import shutil

import pytest

from tests.report.page.parsed import built

PATH = "decoding.repetition_penalty"
DEFAULT = 2.0


@pytest.fixture
def at(scored):
    """A function that records a method under a penalty, its users around `score`."""

    def make(method, penalty, score, step=0.001, **changes):
        scores = {f"u{i}": [score, score + step * i] for i in range(8)}
        changed = {} if penalty == DEFAULT else {PATH: penalty}
        settings = {PATH: {"value": penalty, "source": "somewhere"}}
        key = f"{method}-{penalty}-{changes.get('seed', 0)}"
        return scored(
            method, scores, hyperparameters=settings, overrides=changed, key=key, **changes
        )

    return make


def test_penalties_are_rows_and_methods_columns(at, read, cells):
    for penalty, score in ((7.0, 0.3), (DEFAULT, 0.5), (1.0, 0.6)):
        at("tam", penalty, score)
    at("tam_head", 1.0, 0.6)
    table = cells(read("penalty"), "News Headline: ROUGE-1")
    assert list(table) == ["1.0", "2.0 (default)", "7.0"]
    assert [row["TAM"][:5] for row in table.values()] == ["0.602", "0.502", "0.302"]
    assert [row["tam_head"][:6].strip() for row in table.values()] == ["0.602", "no run", "no run"]
    assert "No run is recorded" in read("excluded-runs")


def test_differences_are_paired_under_each_penalty(at, read, cells):
    for penalty, tam, head in ((1.0, 0.6, 0.6), (7.0, 0.3, 0.4)):
        at("tam", penalty, tam)
        at("tam_head", penalty, head, step=0.001 * penalty)
    table = cells(read("penalty"), "News Headline: differences in ROUGE-1", marks=True)
    (name,) = list(table["7.0"])[1:]
    assert name == "tam_head over TAM" and table["1.0"][name].startswith("0.00")
    assert table["7.0"][name].startswith("+11.05 [+"), (
        "10 points and 0.6 for each of 0 to 7, halved"
    )


def test_methods_are_compared_on_the_seeds_that_both_have(at, read, cells):
    for penalty in (1.0, 7.0):
        at("tam", penalty, 0.3)
        at("tam_head", penalty, 0.4)
    at("tam_head", 7.0, 0.9, seed=1)
    table = cells(read("penalty"), "News Headline: differences in ROUGE-1")
    name = "tam_head over TAM"
    assert (table["1.0"][name], table["7.0"][name]) == ("+10.00", "+10.00")


def test_no_other_table_has_these_runs(at, read):
    for penalty, score in ((1.0, 0.612), (DEFAULT, 0.5)):
        at("tam", penalty, score)
    assert "0.614" in read("penalty")
    for name in ("main", "sensitivity", "scores", "gains"):
        assert "0.614" not in read(name)


def test_a_submitted_run_is_no_point_of_ours(at, call, read, cells):
    for penalty, score in ((1.0, 0.6), (DEFAULT, 0.5)):
        at("tam", penalty, score)
    theirs = at("tam", 7.0, 0.9, created="2027-01-01T00:00:00+00:00")
    code, _, err = call("submit", theirs.path, "--name", "Group X", "--with-texts")
    assert (code, err) == (0, "")
    shutil.rmtree(theirs.path)
    assert list(cells(read("penalty"), "News Headline: ROUGE-1")) == ["1.0", "2.0 (default)"]
    assert "0.902" not in read("penalty")


def test_the_page_draws_a_line_per_method(at):
    runs = []
    for penalty, score in ((1.0, 0.6), (DEFAULT, 0.5), (7.0, 0.2)):
        runs += [at("tam", penalty, score), at("oppu", penalty, score + 0.1)]
    page = built(*runs)
    one, other = page.labels("by repetition penalty")
    assert one == one.replace("ROUGE-L", "ROUGE-1") and other.startswith("ROUGE-L")
    assert "TAM: 1.0 gives 0.602, 2.0 gives 0.502, 7.0 gives 0.202" in one
    assert "OPPU: 1.0 gives 0.702" in one
    assert not page.labels("decoding.repetition_penalty"), "no plot of each method alone"
    assert "No runs with several repetition penalties" in built(runs[2]).text


def test_programs_get_the_differences(at, call):
    for penalty, tam, head in ((1.0, 0.6, 0.6), (7.0, 0.3, 0.4)):
        at("tam", penalty, tam)
        at("tam_head", penalty, head)
    found = json.loads(call("table", "penalty", "--format", "json")[1])
    gains = {one["penalty"]: one["points"] for one in found
             if "baseline" in one and one["metric"] == "rouge1"}  # fmt: skip
    assert gains == {1.0: pytest.approx(0.0), 7.0: pytest.approx(10.0)}
    assert {one["mean"] for one in found if "baseline" not in one and one["metric"] == "rouge1"}


def test_a_single_query_leaves_the_interval_open(scored, call, read, cells):
    for method, score in (("tam", 0.3), ("tam_head", 0.4)):
        settings = {PATH: {"value": 7.0, "source": "somewhere"}}
        scored(method, {"a": [score]}, hyperparameters=settings, overrides={PATH: 7.0})
    table = cells(read("penalty"), "News Headline: differences in ROUGE-1", marks=True)
    assert table["7.0"]["tam_head over TAM"] == "+10.00"
    found = json.loads(call("table", "penalty", "--format", "json")[1])
    gain = next(one for one in found if "baseline" in one)
    assert (gain["points_low"], gain["points_high"]) == (None, None)
