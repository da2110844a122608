"""`lampbench run --engine vllm`: exit codes, one line per error, and nothing lost."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lampbench.engine.models import resolve_model
from lampbench.record.recorded_run import read_run
from lampbench.report.setups import setup_of
from tests.engine.vllm.stand_in import INFO, METRICS, StandIn, info

RUN = ("run", "--method", "base", "--task", "news_headline", "--users", "3", "--engine", "vllm",
       "--batch-size", "1")  # fmt: skip
AT_ONCE = ("--engine-arg", "patience=0")


@pytest.fixture
def server() -> Iterator[StandIn]:
    """A stand-in that serves the bundled model."""
    from transformers import AutoTokenizer

    folder = resolve_model("bundled").location
    tokens = AutoTokenizer.from_pretrained(folder)
    made = StandIn(
        folder, len(tokens), lambda text: list(tokens(text, add_special_tokens=False).input_ids)
    )
    made.context = 1024
    yield made
    made.stop()


def answered(server: StandIn) -> list[str]:
    return [json.dumps(body["prompt"]) for body in server.asked if "stop_token_ids" in body]


def test_a_run_that_a_server_broke_off_is_resumed_by_the_same_command(call, server):
    """What was answered is asked for once."""
    order = (*RUN, "--vllm-url", server.url, *AT_ONCE)
    server.fault = lambda path, body: (
        "hang up" if "completions" in path and len(answered(server)) >= 3 else None
    )
    code, _, err = call(*order)
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert "finished work is kept" in line
    first = answered(server)
    assert len(first) == 3
    assert not list(Path("results").rglob("manifest.json"))

    server.fault = lambda path, body: None
    server.asked.clear()
    code, _, err = call(*order)
    assert code == 0, err
    assert not set(answered(server)) & set(first)
    (manifest,) = Path("results").rglob("manifest.json")
    engine = json.loads(manifest.read_text("utf-8"))["model_details"]
    assert "0.32.0" in json.dumps(engine)
    assert server.url not in manifest.read_text("utf-8").replace(" ".join(order), "")


def test_errors_are_one_line_with_exit_code_2(call, server):
    server.stop()
    cases = {
        "no server answers": ("--vllm-url", server.url, *AT_ONCE),
        "no address of a server": ("--vllm-url", "ftp://x"),
        "no Python interpreter": ("--vllm-python", "/nowhere/python"),
        "leave out --vllm-python": ("--vllm-url", server.url, "--vllm-python", "python"),
        "leave out --engine-arg max_loras": (
            "--vllm-url", server.url, "--engine-arg", "max_loras=2"),
        "patience is for a server that is joined": ("--vllm-python", "python", *AT_ONCE),
    }  # fmt: skip
    for message, options in cases.items():
        code, _, err = call(*RUN, *options)
        assert code == 2, message
        assert message in err
        assert len(err.strip().splitlines()) == 1, err
    server.start()


def test_an_engine_that_cannot_train_is_refused_before_anything_runs(call, server):
    code, _, err = call(*RUN, "--method", "tam", "--vllm-url", server.url, *AT_ONCE)
    assert code == 2
    assert "engine vllm cannot fine-tune adapters" in err
    assert not answered(server)


def test_the_device_is_the_servers_own(call, server):
    code, _, err = call(*RUN, "--vllm-url", server.url, "--device", "cpu")
    assert code == 2 and "--device does nothing with --engine vllm" in err
    assert not answered(server)


def test_manifests_and_tables_say_what_is_unknown(call, server):
    run = (*RUN, "--vllm-url", server.url, *AT_ONCE)
    assert call(*run, "--results", "untold")[0] == 0
    server.tells |= {INFO: info(), "/metrics": METRICS}
    assert call(*run, "--results", "told")[0] == 0
    untold, told = (
        read_run(next(Path(name).rglob("manifest.json")).parent) for name in ("untold", "told")
    )
    assert untold.manifest.key == told.manifest.key
    assert untold.manifest.model_details.dtype == "float32"
    assert untold.manifest.model_details.runs_in is None
    assert told.manifest.model_details.runs_in == "float32"
    assert told.manifest.model_details.engine_identity["server_quantization"] == "none"
    assert (setup_of(untold).dtype, setup_of(told).dtype) == ("", "float32")
    note = "answered by a server that does not tell its precision or quantisation"
    assert note in untold.manifest.model_details.notes
    assert note in call("table", "scores", "--results", "untold")[1]
    assert "does not tell" not in json.dumps(told.manifest.model_details.notes)
