"""Which runs share a cell, which never do, and what their means are."""

from dataclasses import replace

import pytest

from lampbench.record.recorded_run import Run
from lampbench.record.runs import load_runs
from lampbench.record.write import write_run
from lampbench.report.fill_cells import fill_cells
from tests.shared.recorded import of_users

SCORES = {"a": [0.1, 0.2, 0.4], "b": [0.3, 0.4, 0.1]}


@pytest.fixture
def load(tmp_path):
    def read():
        found, others = fill_cells(load_runs(tmp_path / "results")[0])
        return [one for one in found if one.metric == "rouge1"], others

    return read


def test_means_over_queries_and_users(record, load):
    record("cope", good=6)
    (one,), others = load()
    assert (one.mean, one.users_mean) == (pytest.approx(0.4), pytest.approx(0.3))
    assert (one.users, one.queries, one.seeds, one.runs) == (2, 3, (0,), ("cope-0",))
    assert one.paper_model is None
    assert others == []


def test_seeds_are_averaged(record, load):
    for seed, good in ((0, 3), (1, 6), (2, 9)):
        record("cope", good=good, seed=seed)
    (one,), _ = load()
    assert one.mean == pytest.approx(0.4)
    assert one.seeds == (0, 1, 2)


def test_a_metric_that_one_seed_lacks_has_no_mean(record):
    runs = []
    for seed, value in ((0, 0.5), (1, None)):
        run = record("cope", seed=seed)
        scores = replace(run.scores, columns={**run.scores.columns, "meteor": (value,) * 3})
        root = run.path.parents[3]
        runs.append(write_run(root, run.manifest, run.predictions, scores, replace=True))
    (one,) = [one for one in fill_cells(runs)[0] if one.metric == "meteor"]
    assert (one.mean, one.users_mean) == (None, None)
    assert [one.mean for one in fill_cells(runs[:1])[0] if one.metric == "meteor"] == [0.5]


def test_seeds_of_a_plugin_that_was_edited_are_not_averaged(record, load):
    for seed, good in ((0, 9), (1, 9)):
        record("mine", good=good, seed=seed, key=f"old-{seed}", plugins={"method": "aaaa"})
    new = {"created": "2026-02-01T00:00:00+00:00", "plugins": {"method": "bbbb"}}
    record("mine", good=3, key="new", **new)
    (one,), others = load()
    assert (one.mean, one.seeds) == (pytest.approx(0.2), (0,))
    reason = "earlier defaults: the plugin's code aaaa (now bbbb)"
    assert [(each.run.manifest.key, each.reason) for each in others] == [
        ("old-0", reason), ("old-1", reason),
    ]  # fmt: skip


def test_methods_on_a_task_that_was_edited_are_not_compared(record, load):
    record("base", plugins={"task": "aaaa"})
    record("rag", key="theirs", external={"file": "x", "sha256": "0"})
    new = {"created": "2026-02-01T00:00:00+00:00", "plugins": {"task": "bbbb"}}
    record("cope", **new)
    found, (other,) = load()
    assert [one.method for one in found] == ["cope", "rag‡"]
    assert other.run.manifest.method == "base" and "the task's code is not that" in other.reason


def test_the_same_seed_twice_is_not_averaged(record, load):
    record("cope", good=9, key="z-old", created="2026-01-01T00:00:00+00:00")
    record("cope", good=3, key="a-new", created="2026-02-01T00:00:00+00:00")
    (one,), (other,) = load()
    assert one.mean == pytest.approx(0.2)
    assert one.runs == ("a-new",)
    assert other.run.manifest.key == "z-old"
    assert "earlier run" in other.reason


def test_runs_of_earlier_defaults_stand_apart(record, load):
    parts = {"decoding.alpha": {"value": 0.1, "source": "then"}}
    record("cope", good=9, seed=0, hyperparameters=parts, created="2025-01-01T00:00:00+00:00")
    record("cope", good=3, seed=1)
    (one,), (other,) = load()
    assert one.seeds == (1,)
    assert other.reason == "earlier defaults: decoding.alpha 0.1 (now 0.3)"


def test_a_source_of_a_setting_is_no_difference(record, load):
    record(
        "cope", seed=0, hyperparameters={"decoding.alpha": {"value": 0.3, "source": "elsewhere"}}
    )
    record("cope", seed=1)
    (one,), others = load()
    assert one.seeds == (0, 1)
    assert others == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"overrides": {"decoding.alpha": 0.5}}, "decoding.alpha=0.5"),
        ({"fidelity": "reference"}, "fidelity reference"),
        (
            {"fidelity": "reference", "overrides": {"b.x": 1, "a.x": "y"}},
            'fidelity reference, a.x="y", b.x=1',
        ),
    ],
)
def test_runs_with_other_settings_stand_apart(record, load, changes, reason):
    record("cope", good=3)
    record("cope", good=9, key="other", **changes)
    (one,), (other,) = load()
    assert one.mean == pytest.approx(0.2)
    assert other.reason == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "other"},
        {"model_details": {"fingerprint": "w1", "dtype": "float32"}},
        {"model_details": {"fingerprint": "w0", "dtype": "bfloat16"}},
        {"model_details": {"fingerprint": "w0", "dtype": "float32", "chat_template": "mistral"}},
        {"preset": "paper"},
        {"dataset": {"fingerprint": "more history"}},
        {"dataset": {"query_fingerprint": "other queries"}},
    ],
)
def test_runs_that_never_share_a_cell(record, load, changes):
    record("cope", seed=0)
    record("cope", seed=1, **changes)
    found, others = load()
    assert [one.seeds for one in found] in ([(0,), (1,)], [(1,), (0,)])
    assert others == []


def test_a_paper_model_is_recognised(record, load):
    info = {"location": "google/gemma-3-4b-it", "fingerprint": "g"}
    record("cope", model="gemma", model_details=info)
    (one,), _ = load()
    assert one.paper_model == "google/gemma-3-4b-it"


def test_a_third_partys_method_has_its_own_title(record, load):
    record("mine", method_title="My Method")
    (one,), _ = load()
    assert one.method_title == "My Method"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(("since", "alone"), [("0.1.0", False), ("0.2.0", True)])
def test_runs_by_a_version_with_other_results_are_left_out(
    scored, read, cells, monkeypatch, order, since, alone
):
    monkeypatch.setattr("lampbench.report.fill_cells.SAME_RESULTS_SINCE", since)
    methods = ["cope", "oppu"][::order]
    for method, version in zip(methods, ("0.1.0", "0.2.0"), strict=True):
        scored(method, SCORES, versions={"lampbench": version})
    table = cells(read("main"), "bundled, preset small, data bundled", "ROUGE-1")
    title = {"cope": "CoPe", "oppu": "OPPU"}
    assert (table[title[methods[0]]]["News Headline"] == "no run") is alone
    assert table[title[methods[1]]]["News Headline"] != "no run"
    if alone:
        excluded = cells(read("excluded-runs"), "Runs in no other table")["News Headline"]
        assert "by lampbench 0.1.0, before 0.2.0 changed results" in excluded["What differs"]


def test_mixed_releases_of_libraries_are_told(scored, read):
    for method, torch in (("cope", "2.1"), ("oppu", "2.2"), ("tam", "2.1")):
        versions = {"torch": torch, "python": "3.11", "commit": method}
        scored(method, SCORES, versions=versions)
    assert "These runs were made with different releases: torch 2.1, 2.2." in read("scores")
    assert "python" not in read("scores")


def test_the_releases_of_scoring_libraries_are_those_of_the_scoring(scored, read):
    """They may differ from those that were installed when the answers were made."""
    scoring: dict[str, object] = {
        "signatures": {}, "missing": {}, "versions": {"nltk": "3.3"}
    }  # fmt: skip
    for method, nltk in (("cope", "3.1"), ("oppu", "3.2")):
        scored(method, SCORES, versions={"nltk": nltk}, scoring=scoring)
    assert "different releases" not in read("scores")
    scoring["rescored"] = {"rouge1": {"nltk": "3.4"}}
    scored("tam", SCORES, versions={"nltk": "3.1"}, scoring=scoring)
    assert "made with different releases: nltk 3.3, 3.4." in read("scores")


def test_data_is_known_by_its_content_and_called_by_the_oldest_path_to_it(scored, read, cells):
    def made(method, place, day, **data):
        created = f"2026-01-{day:02}T00:00:00+00:00"
        return scored(method, SCORES, created=created, dataset={"source": place, **data})

    newer = made("cope", "lamp:/new", 3)
    made("oppu", "lamp:/old", 2)
    table = cells(read("main"), "bundled, preset small, data lamp:/old", "ROUGE-1")
    assert {table[name]["News Headline"] != "no run" for name in ("CoPe", "OPPU")} == {True}
    assert newer.manifest.dataset.source == "lamp:/new" and "/new" not in read("main")
    made("tam", "lamp:/other", 1, fingerprint="other")
    assert "preset small, data lamp:/other" in read("main")


def test_runs_of_other_queries_stand_apart_whatever_their_fingerprint(scored, read, cells):
    scored("oppu", {"a": [0.1, 0.2], "b": [0.3, 0.4]})
    scored("cope", SCORES, created="2026-02-01T00:00:00+00:00")
    table = cells(read("main"), "bundled, preset small, data bundled", "ROUGE-1")
    assert table["OPPU"]["News Headline"] == "no run"
    assert table["CoPe"]["News Headline"] != "no run"
    row = cells(read("excluded-runs"), "Runs in no other table")["News Headline"]
    assert (row["Method"], row["What differs"][:21]) == ("OPPU", "answers other queries")


@pytest.mark.parametrize("full", [True, False])
def test_runs_on_few_users_leave_the_tables_where_all_users_have_run(scored, read, full):
    scored("cope", SCORES, dataset=of_users(2, "few"), key="few")
    if full:
        scored("oppu", SCORES, dataset=of_users(None, "all"), key="all")
    assert ("on 2 test users (--users)" in read("excluded-runs")) is full


def test_runs_on_few_users_stay_where_they_are_of_more_methods(scored, read, cells):
    """What all users take too long for is shown beside what they were run with."""
    for method in ("oppu", "cope"):
        scored(method, SCORES, dataset=of_users(2, "few"), key=f"few {method}")
    scored("oppu", {**SCORES, "c": [0.5]}, dataset=of_users(None, "all"), key="all")
    table = cells(read("main"), "bundled, preset small, data bundled", "ROUGE-1")
    assert table["CoPe"]["News Headline (2 users)"] != "no run"
    assert table["CoPe"]["News Headline (3 users)"] == "no run"
    assert table["OPPU"]["News Headline (3 users)"] != "no run"
    scored("cope", {**SCORES, "c": [0.5]}, dataset=of_users(None, "all"), key="all cope")
    assert "users)" not in read("main")
    assert read("excluded-runs").count("on 2 test users (--users)") == 2


@pytest.mark.parametrize("uncounted", ["settings", "submitted"])
def test_methods_that_fill_no_cell_of_ours_keep_no_runs_on_few_users(
    scored, read, monkeypatch, uncounted
):
    """Nor does a method count twice because somebody else ran it, too."""
    scored("oppu", SCORES, dataset=of_users(2, "few"), key="few")
    scored("oppu", {**SCORES, "c": [0.5]}, dataset=of_users(None, "all"), key="all")
    if uncounted == "settings":
        scored("cope", SCORES, dataset=of_users(2, "few"), overrides={"decoding.alpha": 0.5})
    else:
        scored("oppu", SCORES, dataset=of_users(2, "few"), key="theirs")
        who = property(lambda run: "them" if run.manifest.key == "theirs" else None)
        monkeypatch.setattr(Run, "submitter", who)
    assert "users)" not in read("main")


def test_a_number_of_users_that_is_that_of_all_leaves_no_run_out(scored, read, cells):
    """It has the key of the run on all users, which therefore is not made any more."""
    scored("cope", SCORES, dataset=of_users(2, "all"), key="all")
    scored("oppu", SCORES, dataset=of_users(None, "all"), key="other")
    table = cells(read("main"), "bundled, preset small, data bundled", "ROUGE-1")
    assert "no run" not in {table[method]["News Headline"] for method in ("CoPe", "OPPU")}
