"""A joined server whose place is taken by another one while a run asks it."""

import threading

import pytest

from lampbench.util.errors import LampbenchError
from tests.engine.vllm.joined_requests import requests

REPLACED = {
    "another model": (lambda s: setattr(s, "root", "org/other-model"), "serves 'org/other-model'"),
    "another version": (lambda s: setattr(s, "version", "0.33.0"), "is vLLM 0.33.0 now"),
    "no plugin": (lambda s: setattr(s, "plugin", "none"), "not have lampbench-vllm any more"),
}  # fmt: skip


@pytest.mark.parametrize("what", REPLACED)
def test_a_server_that_is_replaced_in_mid_run_is_refused(client, server, what):
    change, message = REPLACED[what]
    server.plugin = "processor"
    engine = client(batch_size=1)
    under_way, replaced = threading.Event(), threading.Event()

    def hold(model):
        under_way.set()
        assert replaced.wait(60)

    def replace_it():
        assert under_way.wait(60)
        server.stop()
        change(server)
        server.start()
        replaced.set()

    server.meanwhile = lambda model: hold(model) if len(server.asked) > 5 else None
    threading.Thread(target=replace_it, daemon=True).start()
    with pytest.raises(LampbenchError, match=message) as raised:
        list(engine.generate(requests(*[()] * 30)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("what", REPLACED)
def test_a_server_that_was_replaced_between_two_calls_is_refused(client, server, what):
    change, message = REPLACED[what]
    server.plugin = "processor"
    engine = client()
    list(engine.generate(requests(())))
    change(server)
    with pytest.raises(LampbenchError, match=message):
        list(engine.generate(requests(())))


def test_a_server_that_is_replaced_while_no_request_fails_is_refused(client, server):
    engine = client(batch_size=1)
    answers = engine.generate(requests(*[()] * 30))
    next(answers)
    server.root = "org/other-model"
    with pytest.raises(LampbenchError, match="another model or other options than before"):
        list(answers)
