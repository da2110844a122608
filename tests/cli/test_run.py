"""`lampbench run`: what it prints, for people and for programs."""

import json
import re
import shutil
from pathlib import Path

import pytest

from lampbench.engine import model_arguments
from lampbench.engine.models import MODEL_PRESETS
from lampbench.engine.pool import EnginePool
from lampbench.registry import Registry

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


def test_all_tasks_are_those_with_data_and_one_note_names_the_others(call):
    asked = ("run", "--method", "base", "--users", "2", "--dry-run", "--format", "json")
    code, out, err = call(*asked, "--task", "all")
    assert code == 0, err
    planned = {plan["task"] for plan in json.loads(out)["plans"]}
    every = set(Registry().names("task"))
    assert {"news_headline", "topic_writing"} <= planned < every
    (said,) = [line for line in err.splitlines() if "left out" in line]
    assert set(said.rpartition(": ")[2].split(", ")) == every - planned
    for named in (("citation_identification",), ("all", "citation_identification")):
        tasks = [word for name in named for word in ("--task", name)]
        code, _, err = call(*asked, *tasks)
        assert code == 2 and "no data for task citation_identification is bundled" in err


def test_all_methods_are_those_whose_packages_are_installed(small_run, monkeypatch):
    """The others are named, with what to install; one that is asked for by name is refused."""
    monkeypatch.setattr("lampbench.plugin.dense_retrieval.find_spec", lambda _: None)
    asked = ("--dry-run", "--format", "json")
    code, out, err = small_run("--method", "all", *asked)
    assert code == 0, err
    every = set(Registry().names("method"))
    planned = {plan["method"] for plan in json.loads(out)["plans"]}
    assert every - planned == {"rag_contriever", "rag_dense"}
    (said,) = [line for line in err.splitlines() if "left out" in line]
    assert said.startswith("--method all: left out rag_contriever, rag_dense: ")
    assert said.endswith("pip install 'lampbench[dense]'")
    for named in (("rag_dense",), ("all", "rag_dense")):
        code, _, err = small_run(*(word for one in named for word in ("--method", one)), *asked)
        assert code == 2
        assert err.splitlines()[-1].startswith("error: method rag_dense: dense retrieval needs")


def test_all_tasks_do_not_hide_a_wrong_option(call):
    asked = ("run", "--method", "base", "--task", "all", "--users", "2", "--dry-run")
    code, _, err = call(*asked, "--split", "train")
    assert code == 2 and "--split train" in err


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
    assert base["recorded_texts"] is None
    assert [stage["stage"] for stage in base["stages"]] == ["predict"]
    assert [(stage["stage"], stage["units"], stage["cached"]) for stage in oppu["stages"]] == [
        ("task_sft", 1, 0), ("user_sft", 2, 0), ("predict", 16, 0),
    ]  # fmt: skip
    trained = oppu["stages"][0]
    assert trained["tokens_trained"] > trained["tokens_read"] == 0 < trained["bytes"]
    assert small_run(*METHODS)[0] == 0
    for plan in json.loads(small_run(*asked)[1])["plans"]:
        assert plan["recorded"] and plan["recorded_texts"]
        for stage in plan["stages"]:
            assert stage["cached"] == stage["units"]
            assert stage["tokens_trained"] == stage["tokens_written"] == 0


def test_each_max_history_is_a_run_and_all_is_the_default_one(small_run, call):
    lengths = ("--max-history", "2", "--max-history", "all")
    code, out, err = small_run("--method", "rag", *lengths)
    assert (code, err.count("error")) == (0, 0)
    assert re.search(r"news_headline, bundled: 2 users, \d+ queries, max-history 2$", out, re.M)
    assert re.search(r"news_headline, bundled: 2 users, \d+ queries$", out, re.M)
    (whole,) = json.loads(small_run("--method", "rag", "--format", "json")[1])["runs"]
    runs = json.loads(call("list", "runs", "--format", "json")[1])["runs"]
    assert {run["key"]: run["max_history"] for run in runs}[whole["key"]] is None
    assert sorted(run["max_history"] or 0 for run in runs) == [0, 2]
    assert "max-history 2" in call("list", "runs")[1]
    assert "max-history 2" in small_run("--method", "rag", *lengths, "--dry-run")[1]


@pytest.mark.parametrize("wrong", ["0", "none", "1,2", "-3"])
def test_a_max_history_that_is_no_number_is_refused(small_run, wrong):
    code, out, err = small_run("--method", "rag", "--max-history", wrong)
    assert (code, out) == (2, "") and "is not a whole number from 1 to" in err and "or all" in err


def test_a_dry_run_records_nothing(small_run, tmp_path):
    assert small_run(*METHODS, "--dry-run")[0] == 0
    assert not (tmp_path / "results").exists()


def test_a_dry_run_on_a_disk_that_is_too_small_prints_the_plan_and_is_refused(
    small_run, monkeypatch, tmp_path
):
    monkeypatch.setattr("lampbench.study.disk_space.free_disk_bytes", lambda folder: 10)
    code, out, err = small_run("--method", "tam", "--dry-run")
    assert code == 2 and "tam on news_headline" in out
    assert "the disk is too small" in err.splitlines()[-1]
    assert not (tmp_path / "results").exists()


@pytest.fixture
def broken_models(tmp_path):
    """Folders of models: without weights, with empty weights, and one of an architecture that the
    paper has no template for."""
    config = {"max_position_embeddings": 64, "model_type": "gpt2"}
    for name, weights in [("none", None), ("empty", b""), ("gpt2", b"weights")]:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        if weights is not None:
            (folder / "model.safetensors").write_bytes(weights)


@pytest.mark.parametrize("planning", [("--dry-run",), ("--dry-run", "--format", "json"), ()])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--chat-template", "nope"), "no chat template is called 'nope'"),
        (("--device", "warp"), "no device is called 'warp'"),
        (("--device", "meta"), "no device is called 'meta'"),
        (("--device", "cuda:99"), "device 'cuda:99' cannot be used: here are cpu"),
        (("--max-hours", "-1"), "--max-hours -1.0: give a number above 0"),
        (("--set", "decoding.max_new_tokens=1000000"), "decoding.max_new_tokens=1000000 of base"),
        (("--set", "decoding.max_new_tokens=" + "9" * 20), "must be at most"),
        (("--set", "decoding.max_new_tokens=-5"), "at least 1"),
        (("--model", "./none"), "no weights"),
        (("--model", "./empty"), "model.safetensors is empty"),
        (("--model", "./gpt2", "--fidelity", "reference"), "no chat template for models of type"),
        (("--model", "./gpt2"), "no room for a prompt in the model's context of 64 tokens"),
        (("--results", "/dev/null/x"), "--results"),
    ],
)
def test_what_a_run_refuses_without_a_model_a_dry_run_refuses_in_the_same_words(
    small_run, broken_models, tmp_path, arguments, said, planning
):
    code, out, err = small_run("--method", "base", *arguments, *planning)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1] and "torch" not in err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--model-arg", "device_map=mars"), "device_map=mars: choose one of auto, balanced"),
        (("--model-arg", "device_map=cuda:99"), "device_map=cuda:99 cannot be used"),
        (("--model-arg", "quantization=4bit"), "needs the package bitsandbytes; pip install"),
        (
            ("--set", "user_sft.targets=q_proj,r_proj"),
            "no linear layers called r_proj; it has down",
        ),
        (("--set", "task_sft.targets=lm_head"), "no linear layers called lm_head; it has down"),
    ],
)
def test_how_a_model_is_loaded_and_trained_is_checked_by_the_plan(
    small_run, monkeypatch, arguments, said
):
    monkeypatch.setattr(model_arguments, "find_spec", lambda name: None)
    code, out, err = small_run("--method", "oppu", *arguments, "--dry-run")
    assert (code, out) == (2, "")
    assert said in err and len(err.splitlines()) == 1


def test_layers_of_recorded_and_cached_stages_need_no_check(small_run, monkeypatch):
    assert small_run("--method", "oppu")[0] == 0
    monkeypatch.setattr(EnginePool, "require_targets", lambda *_: pytest.fail("nothing to train"))
    assert small_run("--method", "oppu")[0] == 0
    assert small_run("--method", "oppu", "--set", "decoding.max_new_tokens=7")[0] == 0


def test_every_budget_of_a_method_is_checked(small_run):
    for method, path in [("pag", "profile"), ("cope", "negatives"), ("cope", "decoding")]:
        budget = f"{path}.max_new_tokens=5000"
        code, _, err = small_run("--method", method, "--set", budget, "--dry-run")
        assert code == 2 and f"{budget} of {method}" in err
    context = 1024
    config = json.loads(Path(MODEL_PRESETS["bundled"].location, "config.json").read_text())
    assert config["max_position_embeddings"] == context
    fits = f"decoding.max_new_tokens={context - 1}"
    assert small_run("--method", "base", "--set", fits, "--dry-run")[0] == 0


def test_a_damaged_record_is_named_and_is_not_called_recorded(small_run, tmp_path):
    assert small_run(*METHODS)[0] == 0
    (damaged,) = tmp_path.glob("results/*/*/base/*/scores.json.gz")
    damaged.write_bytes(b"")
    code, out, err = small_run(*METHODS)
    assert code == 2 and "oppu" in out
    already = [line for line in err.splitlines() if "already recorded" in line]
    assert len(already) == 1 and "/oppu/" in already[0]
    assert f"{damaged.parent.relative_to(tmp_path)}: left out" in err.splitlines()[-1]
    shutil.rmtree(damaged.parent)
    assert small_run(*METHODS)[0] == 0
