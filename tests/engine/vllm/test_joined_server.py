"""The engine against a server that is joined: what is sent and what comes back."""

import os
import socket
import threading
from pathlib import Path

import pytest

from lampbench.engine.protocol import (
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.engine.vllm import served_adapters
from lampbench.engine.vllm.engine import VllmEngine
from lampbench.engines import vllm
from lampbench.util.errors import LampbenchError
from tests.engine.engine_inputs import prompt
from tests.engine.vllm.joined_requests import requests
from tests.engine.vllm.stand_in import chosen, expected_logprob


def adapter_names(server):
    return {body["model"] for body in server.asked if body["model"] != "served"}


def test_token_ids_go_in_and_come_out(client, server):
    engine = client()
    (answer,) = engine.generate(requests(()))
    (sent,) = [body for body in server.asked if "stop_token_ids" in body]
    ids = engine._encoder.encode_prompt("q", prompt(0), 200).ids
    assert sent["prompt"] == list(ids)
    assert sent["stop_token_ids"] == sorted(engine._stop)
    expected: list[int] = []
    while len(expected) < 8:
        token = chosen([*ids, *expected], "served", server.vocabulary)
        if token in engine._stop:
            break
        expected.append(token)
    assert answer.token_ids == tuple(expected)
    assert answer.truncated == (len(expected) == 8)


def test_answers_end_with_a_stop_token_that_is_left_out(client, server):
    engine = client()
    engine._stop = frozenset(range(0, 400, 2))
    answers = list(engine.generate(requests(*[()] * 12)))
    assert all(not set(one.token_ids) & engine._stop for one in answers)
    assert {one.truncated for one in answers} == {False, True} or all(
        not one.truncated for one in answers
    )


def test_every_sampling_parameter_is_sent(client, server):
    spec = GenerationSpec(8, 1.3, "logits", Sampling(0.7, 0.9), min_new_tokens=2)
    answers = list(client().generate(requests((), spec=spec, samples=3, seed=11)))
    sent = server.asked[-1]
    assert {name: sent[name] for name in ("n", "temperature", "top_p", "top_k", "min_p", "seed",
            "repetition_penalty", "presence_penalty", "frequency_penalty", "min_tokens")} == {
        "n": 3, "temperature": 0.7, "top_p": 0.9, "top_k": 0, "min_p": 0.0, "seed": 11,
        "repetition_penalty": 1.3, "presence_penalty": 0.0, "frequency_penalty": 0.0,
        "min_tokens": 2,
    }  # fmt: skip
    assert sorted(answer.sample for answer in answers) == [0, 1, 2]
    assert len({answer.token_ids for answer in answers}) == 3


def test_greedy_samples_are_asked_for_once(client, server):
    answers = list(client().generate(requests((), samples=3)))
    assert len({one.token_ids for one in answers}) == 1
    assert len(answers) == 3
    assert server.asked[-1]["n"] == 1


def test_adapters_of_a_request_are_one_with_their_ranks_added(client, server, random_adapters):
    import json

    first, _, third = random_adapters()[:3]
    ranks = []

    def look(path, body):
        if path == "/v1/load_lora_adapter" and body["lora_name"]:
            config = Path(body["lora_path"], "adapter_config.json").read_text()
            ranks.append(json.loads(config)["r"])

    server.fault = look
    list(client().generate(requests((first, third), (first,))))
    assert sorted(ranks) == [4, 4 + 6]
    assert len(adapter_names(server)) == 2


def test_no_more_adapters_are_loaded_than_the_server_holds(client, server, random_adapters):
    stacks = [(one,) for one in random_adapters()] * 2
    answers = list(client(max_cpu_loras=2).generate(requests(*stacks)))
    assert len(answers) == 12
    assert server.most_loaded == 2


def test_rows_without_an_adapter_are_never_under_way_with_others(client, server, random_adapters):
    stacks = [(), *((one,) for one in random_adapters()), ()] * 4
    two_models = threading.Event()

    def wait_for_another_adapter(model):
        if len(server.together[-1]) > 1:
            two_models.set()
        if model != "served":
            assert two_models.wait(60)

    server.meanwhile = wait_for_another_adapter
    answers = list(client(batch_size=8).generate(requests(*stacks)))
    assert len(answers) == len(stacks)
    assert any(len(models) > 1 for models in server.together)
    assert all("served" not in models or len(models) == 1 for models in server.together)


def test_two_calls_at_once_keep_rows_apart(client, server, random_adapters):
    engine = client(batch_size=8)
    plain = engine.generate(requests(*[()] * 20))
    adapted = engine.generate(requests(*[(random_adapters()[0],)] * 20))
    found = [next(plain), next(adapted), *plain, *adapted]
    assert len(found) == 40
    assert all("served" not in models or len(models) == 1 for models in server.together)


def test_only_as_many_requests_are_made_as_are_answered(client, server):
    """Back-pressure: prompts are encoded when there is room for their requests."""
    engine = client(batch_size=2)
    answers = engine.generate(requests(*[()] * 50))
    next(answers)
    threading.Event().wait(0.3)
    sent = sum("stop_token_ids" in body for body in server.asked)
    assert sent <= 2 * 2 + 1
    answers.close()


@pytest.mark.parametrize("form", ["chat", "raw"])
def test_scores_are_those_of_the_responses_tokens(client, server, form):
    engine = client()
    asked = ScoreRequest("s", prompt(1), "Storm closes harbour", (), form)
    (found,) = engine.score([asked])
    before, response = engine._encoded(asked)
    expected = [expected_logprob([*before, *response[: n + 1]], "served")
                for n in range(len(response))]  # fmt: skip
    assert found.logprobs == pytest.approx(expected)
    assert len(found.logprobs) > 3


def test_a_response_may_fill_the_context(client, server):
    """The server wants room for a new token: the last one of the response is it."""
    engine = client()
    (found,) = engine.score([ScoreRequest("s", prompt(0), "fox " * 400, ())])
    longest = max(len(body["prompt"]) for body in server.asked)
    assert longest == server.context - 1
    assert len(found.logprobs) >= server.context // 2


def test_a_server_that_is_restarted_in_mid_run_answers_the_rest(client, server, random_adapters):
    class Said(list[str]):
        def append(self, text):
            if not self:
                server.start()
            super().append(text)

    said = Said()
    stacks = [(one,) for one in random_adapters()] * 5
    engine = client(said=said, patience=600)
    answers = engine.generate(requests(*stacks))
    found = [next(answers) for _ in range(3)]
    server.stop()
    found += answers
    assert len(found) == 30
    assert {one.id for one in found} == {f"q{n}" for n in range(30)}
    assert "does not answer" in said[0]
    again = {one.id: one.token_ids for one in client().generate(requests(*stacks))}
    assert {one.id: one.token_ids for one in found} == again


def test_a_server_that_does_not_come_back_ends_the_run_with_one_line(client, server):
    engine = client(patience=0)
    answers = engine.generate(requests(*[()] * 30))
    next(answers)
    server.stop()
    with pytest.raises(LampbenchError, match="does not answer any more") as raised:
        list(answers)
    assert "finished work is kept" in str(raised.value)
    assert "\n" not in str(raised.value)
    server.start()


def test_a_request_that_always_breaks_the_server_is_given_up(client, server):
    def fault(path, body):
        return "hang up" if path == "/v1/completions" and "stop_token_ids" in body else None

    engine = client()
    server.fault = fault
    with pytest.raises(LampbenchError, match=r"q0.*failed 4 times|ended 3 times"):
        list(engine.generate(requests(())))


def test_an_adapter_that_somebody_unloaded_is_loaded_again(client, server, random_adapters):
    engine = client()
    list(engine.generate(requests((random_adapters()[0],))))
    server.loaded.clear()
    assert len(list(engine.generate(requests((random_adapters()[0],))))) == 1


def test_its_adapters_are_taken_out_of_a_joined_server(setup_of, server, random_adapters):
    plugin = vllm.Vllm()
    engine = plugin.open(setup_of(url=server.url))
    list(engine.generate(requests(*((one,) for one in random_adapters()))))
    assert server.loaded
    plugin.close(engine)
    assert not server.loaded
    assert isinstance(engine, VllmEngine) and not engine._folder.exists()


def test_the_key_comes_from_the_environment(client, server, monkeypatch):
    server.key = "secret"
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    assert len(list(client().generate(requests(())))) == 1


def test_the_servers_version_is_part_of_what_the_engine_is(setup_of, server):
    first = vllm.Vllm().identity(setup_of(url=server.url))
    server.version = "0.33.0"
    assert first["vllm"] == "0.32.0"
    assert vllm.Vllm().identity(setup_of(url=server.url))["vllm"] == "0.33.0"
    assert server.url not in str(first)


def test_a_server_that_hangs_does_not_keep_lampbench(
    setup_of, server, random_adapters, monkeypatch
):
    monkeypatch.setattr(served_adapters, "_UNLOAD_SECONDS", 0.1)
    engine = vllm.Vllm().open(setup_of(url=server.url))
    list(engine.generate(requests((random_adapters()[0],))))
    over = threading.Event()

    def hang(path, body):
        over.wait(120)

    server.fault = hang
    closing = threading.Thread(target=vllm.Vllm().close, args=(engine,), daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    over.set()


def test_a_server_whose_machine_is_gone_is_noticed(client, server):
    """The system asks whether the other side is there while an answer is waited for."""
    engine = client(batch_size=1)
    found: list[int] = []

    def look(model):
        under_way = list(engine.server.client._open)
        found.extend(each.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                     for each in under_way)  # fmt: skip

    server.meanwhile = look
    list(engine.generate(requests(())))
    assert set(found) == {1}


def test_a_server_may_have_several_names_for_its_model(client, server):
    server.aliases = ("another",)
    assert len(list(client().generate(requests(())))) == 1
    assert {body["model"] for body in server.asked} == {"served"}


def test_proxies_of_the_environment_are_not_used(client, server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    assert len(list(client().generate(requests(())))) == 1
