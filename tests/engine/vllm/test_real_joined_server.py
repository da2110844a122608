"""A real vLLM server on the CPU that somebody else started, and its chat API."""

import threading

import pytest

from lampbench.engine.model_arguments import NOTHING_GIVEN
from lampbench.engine.openai.api_engine import ApiEngine
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.token_account import TokenAccount
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, ScoreRequest
from lampbench.engine.vllm.model_shapes import model_shapes
from lampbench.engine.vllm.server_process import ServerProcess
from lampbench.engine.vllm.told_configuration import told_configuration
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import RESPONSES, prompt
from tests.engine.vllm.real_server import CROWDED, MARKS, NEW, PYTHON, Side, tokens

pytestmark = MARKS


@pytest.fixture(scope="module")
def side(tmp_path_factory):
    made = Side("llama", tmp_path_factory.mktemp("vllm-joined"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(side, tmp_path_factory):
    """One with two names for its model, with log-probabilities after restrictions, and in
    developers' mode.
    """
    arguments = [
        "--model", side.spec.location, "--served-model-name", "served", "another", "--dtype",
        "float32", "--enforce-eager", "--no-enable-chunked-prefill", "--enable-lora",
        "--max-lora-rank", "64", "--lora-target-modules",
        *model_shapes(side.spec, NOTHING_GIVEN).lora_targets,
        "--logprobs-mode", "processed_logprobs", *CROWDED.split(),
    ]  # fmt: skip
    log = tmp_path_factory.mktemp("server") / "log"
    made = ServerProcess(PYTHON, arguments, log, variables={"VLLM_SERVER_DEV_MODE": "1"},
                         stopped=threading.Event())  # fmt: skip
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def key(server, monkeypatch):
    for name in ("VLLM_API_KEY", "LAMPBENCH_API_KEY"):
        monkeypatch.setenv(name, server.client._headers["Authorization"].removeprefix("Bearer "))


SCORED = [
    ScoreRequest(f"{n}/{i}", prompt(n), text, ())
    for n in range(2)
    for i, text in enumerate([*RESPONSES, "na\u00efve \u65e5\u672c"])
]


def test_it_answers_and_may_not_score(side, server):
    joined = side.engine(url=server.client.url)
    requests = [GenerateRequest(f"{n}", prompt(n), stack, GenerationSpec(NEW))
                for n, stack in enumerate(side.stacks())]  # fmt: skip
    assert tokens(joined.generate(requests)) == tokens(side.reference.generate(requests))
    with pytest.raises(LampbenchError, match="--logprobs-mode raw_logprobs"):
        list(joined.score(SCORED))


def test_it_tells_how_it_runs_its_model(server):
    told = told_configuration(server.client, "served")
    assert (told.dtype, told.quantization, told.kv_cache_dtype) == ("float32", "none", "auto")
    assert told.fingerprint is not None and told.fingerprint.startswith("vllm-")


def test_the_scores_of_its_chat_api_are_the_reference_engines(side, server):
    """Those of a prompt's tokens are the model's, whatever the mode is."""
    date = {"chat_template_kwargs": {"date_string": "26 Jul 2024"}}
    options = ApiOptions(address=f"{server.client.url}/v1", fields=date)
    api = ApiEngine("served", options, TokenAccount(options), print)
    found = {one.id: one.logprobs for one in api.score(SCORED)}
    api.close()
    for expected in side.reference.score(SCORED):
        assert found[expected.id] == pytest.approx(expected.logprobs, abs=1e-4)
