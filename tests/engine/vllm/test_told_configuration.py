"""What a joined server tells of its precision and of a contrast for all, and what is made of it."""

import pytest

from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.engine.vllm.http_client import VllmClient
from lampbench.engine.vllm.told_configuration import told_configuration
from lampbench.engines import vllm
from lampbench.util.errors import LampbenchError
from tests.engine.vllm.joined_requests import requests
from tests.engine.vllm.stand_in import INFO, METRICS, info


def test_a_usual_server_tells_its_cache_and_a_fingerprint(server):
    server.tells["/metrics"] = METRICS
    found = told_configuration(VllmClient(server.url), "served")
    assert found.fingerprint is not None and found.fingerprint.startswith("vllm-0.32.0-")
    assert (found.dtype, found.quantization, found.kv_cache_dtype) == (None, None, "fp8_e4m3")
    assert found.identity()["server_dtype"] == "unknown"
    assert list(found.notes()) == [
        "answered by a server that does not tell its precision or quantisation",
        "key/value cache of the server that answered: fp8_e4m3",
    ]


@pytest.mark.parametrize("config", ["text", {"model_config": 1}, {}, None])
def test_what_cannot_be_read_is_unknown(server, config):
    server.tells |= {INFO: {"vllm_config": config}, "/metrics": "no such gauge"}
    found = told_configuration(VllmClient(server.url), "served")
    assert (found.dtype, found.quantization, found.kv_cache_dtype) == (None, None, None)


def test_a_server_in_developers_mode_tells_all(server):
    server.tells |= {INFO: info("torch.bfloat16", "awq"), "/metrics": METRICS}
    found = told_configuration(VllmClient(server.url), "served")
    assert (found.dtype, found.quantization, found.kv_cache_dtype) == ("bfloat16", "awq", "auto")
    assert list(found.notes()) == ["quantised by the server that answered: awq"]
    server.tells[INFO] = info()
    found = told_configuration(VllmClient(server.url), "served")
    assert (found.dtype, found.quantization) == ("float32", "none")
    assert list(found.notes()) == []


def test_a_server_of_another_precision_is_refused(setup_of, server):
    server.tells[INFO] = info("torch.bfloat16")
    with pytest.raises(LampbenchError, match=r"runs in bfloat16, .* of float32; add --dtype bflo"):
        vllm.Vllm().check(setup_of(url=server.url))
    vllm.Vllm().check(setup_of(url=server.url, dtype="bfloat16"))


def test_keys_do_not_depend_on_what_is_told(setup_of, server):
    before = vllm.Vllm().identity(setup_of(url=server.url))
    server.tells |= {INFO: info(), "/metrics": METRICS}
    plugin, setup = vllm.Vllm(), setup_of(url=server.url)
    plugin.able(setup)
    assert plugin.server(setup) != ServerConfiguration()
    assert plugin.identity(setup) == before
    assert plugin.server(setup_of(python="python")) is None


def test_a_server_that_contrasts_every_request_is_refused(client, setup_of, server):
    server.fingerprint = " contrast_alpha=0.5 contrast_tau=0.1"
    message = "contrasts every request \\(contrast_alpha=0.5 contrast_tau=0.1\\); start it without"
    with pytest.raises(LampbenchError, match=message):
        vllm.Vllm().able(setup_of(url=server.url))
    server.fingerprint = ""
    engine = client()
    server.fingerprint = " contrast_alpha=0.5 contrast_tau=0.1"  # it was replaced
    with pytest.raises(LampbenchError, match=message):
        list(engine.generate(requests(())))
    assert not [body for body in server.asked if "stop_token_ids" in body]
