"""`lampbench doctor --engine openai`: the server is asked, and no file of a model is looked for."""

import pytest

from tests.shared.api_server import MODEL

DOCTOR = ("doctor", "--engine", "openai", "--model", MODEL)


@pytest.fixture(autouse=True)
def no_machine(monkeypatch):
    monkeypatch.setattr("lampbench.study.check_machine.check_machine", lambda *_: ())


def test_a_server_that_answers_is_ok(call, api_server):
    code, out, err = call(*DOCTOR, "--api-base", api_server.base)
    assert (code, err) == (0, "")
    assert f"ok     model: {MODEL}: engine openai can be asked for it" in out
    assert "0 wrong" in out and not api_server.seen


def test_a_server_that_is_not_there_is_wrong(call):
    code, out, _ = call(*DOCTOR, "--api-base", "http://127.0.0.1:9/v1")
    assert code == 1 and "wrong  model: no API answers at 127.0.0.1:9/v1" in out


def test_the_address_is_asked_for(call):
    code, out, _ = call(*DOCTOR)
    assert code == 1 and "with --api-base" in out
