"""Servers, adapters and answers that the engine refuses, each in one line."""

import re
from dataclasses import replace

import pytest

from lampbench.engine.capability import Capability
from lampbench.engine.protocol import (
    Contrast,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.engines import vllm
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import prompt
from tests.engine.vllm.joined_requests import requests

REFUSALS = {
    "another model": (lambda s: setattr(s, "root", "org/other-model"), "serves 'org/other-model'"),
    "another vocabulary": (lambda s: setattr(s, "tokenize", lambda text: [1, 2, 3]),
                           "another vocabulary"),
    "fewer tokens": (lambda s: setattr(s, "vocabulary", 100), "refuses token"),
    "no vllm": (lambda s: setattr(s, "fault", lambda path, body: (404, {}) if path == "/version"
                                  else None), "no vLLM server"),
    "a key": (lambda s: setattr(s, "key", "secret"), "VLLM_API_KEY"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_a_server_that_does_not_fit_is_refused_in_one_line(setup_of, server, what):
    change, message = REFUSALS[what]
    change(server)
    plugin = vllm.Vllm()
    with pytest.raises(LampbenchError, match=re.escape(message)) as raised:
        engine = plugin.open(setup_of(url=server.url))
        list(engine.generate(requests(())))
    assert "\n" not in str(raised.value)


def test_no_server_at_the_address(setup_of, server):
    setup = setup_of(url=server.url)
    server.stop()
    for ask in (vllm.Vllm().check, vllm.Vllm().open, vllm.Vllm().able):
        with pytest.raises(LampbenchError, match=f"no server answers at {server.url}"):
            ask(setup)
    server.start()


def test_neither_a_password_nor_a_key_that_cannot_be_sent(setup_of, server, monkeypatch):
    with pytest.raises(LampbenchError, match="--vllm-url: leave user, password") as raised:
        vllm.Vllm().check(setup_of(url="http://me:hidden@host"))
    assert "hidden" not in str(raised.value)
    for key in ("schl\u00fcssel", "two\nlines"):
        monkeypatch.setenv("VLLM_API_KEY", key)
        with pytest.raises(LampbenchError, match="VLLM_API_KEY holds characters") as raised:
            vllm.Vllm().check(setup_of(url=server.url))
        assert key not in str(raised.value)


@pytest.mark.parametrize("fault", [(503, {}), "hang up"])
def test_a_server_that_ends_while_it_is_joined(setup_of, server, fault):
    setup = setup_of(url=server.url)
    vllm.Vllm().able(setup)
    server.fault = lambda path, body: fault if path == "/v1/models" else None
    with pytest.raises(LampbenchError, match="stopped answering"):
        vllm.Vllm().open(setup)


def test_a_server_without_loading_of_adapters(client, server, random_adapters):
    server.lora = False
    engine = client()
    assert len(list(engine.generate(requests(())))) == 1
    with pytest.raises(LampbenchError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING"):
        list(engine.generate(requests((random_adapters()[0],))))


def test_an_adapter_that_is_too_large(client, server, random_adapters):
    server.max_rank = 8
    first, _, third = random_adapters()[:3]
    answers = client().generate(requests((first,), (first, third)))
    found = []
    with pytest.raises(LampbenchError, match="larger --max-lora-rank"):
        found += answers
    engine = client()
    assert len(list(engine.generate(requests((first,))))) == 1


def test_a_server_that_cannot_read_the_adapters(client, server, random_adapters):
    def fault(path, body):
        if path == "/v1/load_lora_adapter" and body["lora_name"]:
            return 404, {"error": {"message": "No adapter found for <path>"}}
        return None

    server.fault = fault
    with pytest.raises(LampbenchError, match="share lampbench's file system"):
        list(client().generate(requests((random_adapters()[0],))))


def test_a_context_that_is_too_short(client, server):
    server.context = 40
    with pytest.raises(LampbenchError, match=r"q0.*context is too short"):
        list(client().generate(requests(())))


def test_an_adapter_on_the_output_layer_is_refused(client, server, random_adapters, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    bad = tmp_path / "bad"
    shutil.copytree(random_adapters()[1], bad)
    file = bad / "adapter_model.safetensors"
    tensors = load_file(file)
    first = next(one for name, one in tensors.items() if "lora_A" in name)
    vocabulary = client()._model.config.vocab_size
    head = "base_model.model.lm_head.lora_{}.weight"
    tensors |= {head.format("A"): first.clone(),
                head.format("B"): first.new_zeros(vocabulary, len(first))}  # fmt: skip
    save_file(tensors, file)
    with pytest.raises(LampbenchError, match="output layer"):
        list(client().generate(requests((bad,))))


def test_a_server_that_bounds_all_answers_is_refused(client, server):
    """As --override-generation-config '{"max_new_tokens": 5}' does."""
    engine = client()
    engine._stop = frozenset({0})
    server.most_new = 5
    with pytest.raises(LampbenchError, match=r"after 5 tokens, and 8 .*generation-config vllm"):
        list(engine.generate(requests(())))


def test_log_probabilities_after_a_restriction_are_refused(client, server):
    """Only the last token is restricted to one, so that only its number would be wrong."""
    server.processed_logprobs = True
    engine = client()
    assert list(engine.generate(requests(())))  # needs none
    with pytest.raises(LampbenchError, match="--logprobs-mode raw_logprobs"):
        list(engine.score([ScoreRequest("s", prompt(), "Storm closes harbour", ())]))


ANSWERS = {
    "none": {},
    "without ids": {"choices": [{"index": 0, "text": "x", "finish_reason": "stop"}]},
    "another prompt": {"choices": [{"index": 0, "prompt_token_ids": [1], "token_ids": [5],
                                    "finish_reason": "length"}]},
    "null": None,
    "text": "<html>",
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_of_another_kind_is_an_error_of_one_line(client, server, what):
    engine = client()
    list(engine.generate(requests(())))
    server.fault = lambda path, body: (200, ANSWERS[what]) if "completions" in path else None
    with pytest.raises(LampbenchError, match="no token ids that can be used") as raised:
        list(engine.generate(requests(())))
    assert "\n" not in str(raised.value)


def test_contrast_needs_the_plugin_in_the_server(client, setup_of, server, random_adapters):
    tam, user = random_adapters()[:2]
    spec = GenerationSpec(8, contrast=Contrast((), 0.3, 0.1))
    assert Capability.CONTRAST not in vllm.Vllm().able(setup_of(url=server.url))
    with pytest.raises(LampbenchError, match="without lampbench-vllm cannot decode contrastively"):
        list(client().generate(requests((user,), spec=spec)))
    server.plugin = "twin"
    assert Capability.CONTRAST in vllm.Vllm().able(setup_of(url=server.url))
    list(client().generate(requests((user,), spec=spec)))
    assert server.asked[-1]["vllm_xargs"] == {
        "lampbench_contrast_alpha": 0.3, "lampbench_contrast_tau": 0.1
    }  # fmt: skip
    against = replace(spec, contrast=Contrast((tam,), 0.3, 0.1))
    with pytest.raises(LampbenchError, match="start a server of this model"):
        list(client().generate(requests((tam, user), spec=against)))


@pytest.mark.parametrize("plugin", ["processor", "twin"])
def test_a_plugin_that_is_too_old_is_told(setup_of, server, plugin):
    """Version 0.1.0 does not know what the client says that it needs."""
    server.plugin, server.known_settings = plugin, ("lampbench_probe",)
    with pytest.raises(LampbenchError, match=r"lampbench-vllm is older than 0\.2\.0"):
        vllm.Vllm().able(setup_of(url=server.url))


def test_a_penalty_on_scores_needs_the_plugin_alone(client, setup_of, server):
    spec = GenerationSpec(8, 1.2)
    with pytest.raises(LampbenchError, match="repetition penalty to log-probabilities"):
        list(client().generate(requests((), spec=spec)))
    server.plugin = "processor"
    able = vllm.Vllm().able(setup_of(url=server.url))
    assert Capability.SCORES_PENALTY in able
    assert Capability.CONTRAST not in able
    list(client().generate(requests((), spec=spec)))
    assert server.asked[-1]["vllm_xargs"] == {"lampbench_log_probabilities": 1.0}
    assert server.asked[-1]["repetition_penalty"] == 1.2


def test_a_temperature_that_vllm_would_raise_is_refused(client, server):
    spec = GenerationSpec(8, sampling=Sampling(0.009, 1.0))
    with pytest.raises(LampbenchError, match=r"q0: .* temperature of 0.01 at least"):
        list(client().generate(requests((), spec=spec)))
    assert not [body for body in server.asked if "stop_token_ids" in body]


def test_it_does_not_train(client):
    with pytest.raises(LampbenchError, match="cannot train"):
        client().train([], lambda *_: None)
