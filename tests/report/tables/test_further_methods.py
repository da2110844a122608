"""Runs whose answers were made elsewhere: marked, beside our own runs of the same data."""

import pytest

SETUP = "bundled, preset small, data bundled"
ELSEWHERE = {
    "external": {"file": "x.json", "sha256": "0"},
    "preset": "external",
    "fidelity": "external",
    "hyperparameters": {},
    "method_title": "CoPe",
    "model_details": {"location": "bundled"},
}


def test_an_external_run_stands_marked_beside_our_own(record, read, cells):
    record("cope", good=3)
    record("cope", good=6, key="theirs", **ELSEWHERE)
    table = cells(read("further-methods"), SETUP, "ROUGE-1")
    assert table["CoPe"]["News Headline"] == "0.200"
    assert table["CoPe ‡"]["News Headline"] == "0.400"
    for name in ("further-methods", "scores", "power", "main"):
        assert "preset external" not in read(name)
        for part in read(name).split("\n#"):
            assert ("‡ External: the answers" in part) == ("CoPe ‡" in part)
    assert "‡" not in read("main") and "‡" in read("scores")


def test_a_method_that_has_the_title_of_another_is_told_by_its_name(record, read, cells):
    """As one that inherits it, in a file like `class Mine(CoPe)`."""
    record("cope", good=3, method_title="CoPe")
    record("mine", good=6, method_title="CoPe")
    table = cells(read("further-methods"), SETUP, "ROUGE-1")
    assert table["CoPe"]["News Headline"] == "0.200"
    assert table["CoPe (mine)"]["News Headline"] == "0.400"
    assert "CoPe (mine)" in read("cost") and "CoPe (mine)" in read("scores")


def test_seeds_of_an_external_method_are_averaged(record, read, cells):
    record("base")
    record("cope", good=3, key="t0", **ELSEWHERE)
    record("cope", good=6, key="t1", seed=1, **ELSEWHERE)
    record("cope", good=9, key="t2", seed=1, created="2025-01-01T00:00:00+00:00", **ELSEWHERE)
    table = cells(read("further-methods"), SETUP, "ROUGE-1")
    assert table["CoPe ‡"]["News Headline"] == "0.300"
    other = cells(read("excluded-runs"), "Runs in no other table")["News Headline"]
    assert (other["Method"], other["Run"]) == ("CoPe ‡", "t2")


@pytest.mark.parametrize("changes", [{"model": "other"}, {"dataset": {"fingerprint": "more"}}])
def test_an_external_run_alone_has_a_setup_of_its_own(record, read, changes):
    record("cope", good=3)
    record("cope", good=6, key="theirs", **{**ELSEWHERE, **changes})
    _, *sections = read("scores").split("\n## ")
    (own,) = [part for part in sections if "preset small, data bundled" in part.splitlines()[0]]
    (other,) = [part for part in sections if "preset external" in part.splitlines()[0]]
    assert "0.400" not in own
    assert any("| CoPe ‡" in line and "0.400" in line for line in other.splitlines())
    assert "preset external" in read("further-methods") and "0.400" not in read("main")


def test_an_external_run_that_answers_other_queries_is_excluded(scored, call):
    """As after a user was removed from our runs, and not from the data that it was imported for."""
    few = {f"u{i}": [0.1 * i, 0.2] for i in range(6)}
    scored("oppu", few)
    scored("cope", {**few, "more": [0.4]}, key="theirs", **ELSEWHERE)
    assert call("leaderboard")[0] == 0
    assert "‡" not in call("table", "further-methods")[1]
    found = call("table", "excluded-runs")[1]
    assert "CoPe ‡" in found and "answers other queries than our runs of its column" in found


def test_no_mark_without_external_runs(record, read):
    record("cope")
    assert "‡" not in read("scores") + read("further-methods")
