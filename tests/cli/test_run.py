"""`lampbench run`: what it prints, for people and for programs."""

import json

METHODS = ("--method", "base", "--method", "oppu")


def test_json_is_one_document_of_the_recorded_runs(small_run, call):
    code, out, err = small_run(*METHODS, "--format", "json")
    assert code == 0 and out.isascii()
    runs = json.loads(out)["runs"]
    assert [run["method"] for run in runs] == ["base", "oppu"]
    assert [run["users"] for run in runs] == [2, 2]
    assert "predict" in err  # progress is on standard error
    listed = json.loads(call("list", "runs", "--format", "json")[1])["runs"]
    assert listed == runs


def test_json_of_what_is_already_recorded_is_the_same(small_run):
    first = json.loads(small_run(*METHODS, "--format", "json")[1])
    code, out, err = small_run(*METHODS, "--format", "json")
    assert code == 0 and json.loads(out) == first
    assert "already recorded" in err


def test_text_ends_with_where_runs_are_recorded(small_run, tmp_path):
    code, out, _ = small_run(*METHODS)
    assert code == 0
    folders = [line.strip() for line in out.splitlines() if line.startswith("  results/")]
    assert len(folders) == 2 and all((tmp_path / each).is_dir() for each in folders)


def test_a_dry_run_as_json_counts_what_is_left(small_run):
    asked = (*METHODS, "--dry-run", "--format", "json")
    code, out, _ = small_run(*asked)
    assert code == 0
    base, oppu = json.loads(out)["plans"]
    assert (base["method"], base["recorded"]) == ("base", False)
    assert [stage["stage"] for stage in base["stages"]] == ["predict"]
    assert [(stage["stage"], stage["units"], stage["cached"]) for stage in oppu["stages"]] == [
        ("task_sft", 1, 0), ("user_sft", 2, 0), ("predict", 25, 0),
    ]  # fmt: skip
    trained = oppu["stages"][0]
    assert trained["tokens_trained"] > trained["tokens_read"] == 0 < trained["bytes"]
    assert small_run(*METHODS)[0] == 0
    for plan in json.loads(small_run(*asked)[1])["plans"]:
        assert plan["recorded"]
        for stage in plan["stages"]:
            assert stage["cached"] == stage["units"]
            assert stage["tokens_trained"] == stage["tokens_written"] == 0


def test_a_dry_run_records_nothing(small_run, tmp_path):
    assert small_run(*METHODS, "--dry-run")[0] == 0
    assert not (tmp_path / "results").exists()
