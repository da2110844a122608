"""The API engine with a server that throttles, fails, hangs and lies."""

import builtins
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lampbench.util.errors import LampbenchError
from tests.engine.openai.asking import answers, many, refusal, request
from tests.shared.api_server import MODEL, Answer, completion


def test_throttling_is_waited_out_as_long_as_the_server_says(api_server, engine):
    def throttle(body, number):
        if number == 0:
            return Answer({"error": "slow"}, 429, {"Retry-After": "1"})
        return None

    api_server.behaviour = throttle
    began = time.monotonic()
    assert len(list(engine().generate([request()]))) == 1
    assert time.monotonic() - began >= 1.0


def test_retry_after_may_be_a_date(api_server, engine):
    def throttle(body, number):
        then = datetime.now(UTC) + timedelta(seconds=2)
        headers = {"Retry-After": format_datetime(then, usegmt=True)}
        return Answer({"error": "slow"}, 503, headers) if number == 0 else None

    api_server.behaviour = throttle
    began = time.monotonic()
    assert len(list(engine().generate([request()]))) == 1
    assert time.monotonic() - began >= 0.9


def test_a_wait_of_hours_ends_the_command(api_server, engine):
    api_server.behaviour = lambda body, number: Answer({}, 429, {"Retry-After": "7200"})
    assert "asks to wait 2 h 0 min" in refusal(engine())


def test_a_slow_account_is_no_failure_as_long_as_something_gets_through(api_server, engine):
    def one_in_three(body, number):
        return None if number % 3 == 2 else Answer({"error": "slow"}, 429)

    api_server.behaviour = one_in_three
    found, error = answers(engine(retries=3, concurrency=4), many(12))
    assert len(found) == 12 and error is None


def test_throttling_without_end_is_given_up(api_server, engine):
    api_server.behaviour = lambda body, number: Answer({"error": "slow"}, 429)
    assert "given up after 4 tries" in refusal(engine(retries=3))


def test_an_account_without_credit_is_not_asked_again(api_server, engine):
    broke = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    api_server.behaviour = lambda body, number: Answer(broke, 429)
    assert "no credit" in refusal(engine())
    assert len(api_server.seen) == 1


def test_failures_that_pass(api_server, engine, said):
    faults = [
        Answer({"error": "down"}, 500),
        Answer(b"<html>bad gateway</html>", 502),
        Answer({"error": {"message": "overloaded"}}, 529),
        Answer(completion({"model": MODEL, "messages": []}), short=True),
        Answer(b"<html>maintenance</html>"),
        Answer({"error": {"message": "upstream", "code": 502}}),
        Answer(completion({"model": MODEL, "messages": []}, _finish_reason="abort")),
    ]
    api_server.behaviour = lambda body, number: faults[number - 1] if 0 < number < 8 else None
    found, error = answers(engine(retries=7, concurrency=1), many(3))
    assert len(found) == 3 and error is None
    assert len(api_server.seen) == 10
    assert len(said) == 1 and "trying again" in said[0]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(b"<html>hello</html>"), "text/html that is not JSON"),
        (Answer(b""), "not JSON"),
        (Answer(b"[" * 100_000), "not JSON"),
        (Answer(b'{"choices": NaN}'), "not JSON"),
        (Answer([]), "no JSON object"),
        (Answer({"choices": []}), "0 choices where one was asked for"),
        (Answer({"error": "model crashed"}), "answered with an error (model crashed)"),
        (Answer({"x": 1}, short=True), "connection broke"),
        (Answer(b"\x1f\x8b not gzip", headers={"Content-Encoding": "gzip"}), "decompressed"),
    ],
)
def test_a_server_that_only_sends_nonsense_is_told_soon(api_server, engine, answer, told):
    api_server.behaviour = lambda body, number: answer
    said = refusal(engine())
    assert told in said and "given up after 2 tries" in said
    assert len(api_server.seen) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer({"error": {"message": "model 'x' not found"}}, 404), "no model 'tiny-1'"),
        (Answer({"detail": "Not Found"}, 404), "usually ends in /v1"),
        (Answer({}, 307, {"Location": "http://127.0.0.1:1/v1?k=1"}), "give the final address"),
        (Answer({"error": {"message": "no"}}, 402), "no credit"),
        (Answer({"error": {"message": "temperature must be 1"}}, 400),
         "(temperature must be 1); many models that reason"),
        (Answer({"error": {"message": "This model's maximum context length is 4096 tokens"}}, 400),
         "--max-history N"),
        (Answer({"error": "the request exceeds the available context size"}, 400),
         "not shortened"),
        (Answer({"object": "error", "message": "weird"}, 418), "weird"),
        (Answer(completion({"model": MODEL, "messages": []}, model="other")), "'other' answered"),
    ],
)  # fmt: skip
def test_refusals_are_told_at_once(api_server, engine, answer, told):
    api_server.behaviour = lambda body, number: answer
    assert told in refusal(engine())
    assert len(api_server.seen) == 1


def test_a_redirection_is_not_followed_with_the_key(api_server, engine, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_API_KEY", "sk-secret")
    headers = {"Location": api_server.base + "/elsewhere"}
    api_server.behaviour = lambda body, number: Answer({}, 302, headers)
    refusal(engine())
    assert len(api_server.seen) == 1


def test_no_server_at_the_address(engine):
    told = refusal(engine(address="http://127.0.0.1:9/v1"))
    assert "no connection" in told and "--api-base" in told


def test_a_host_that_no_name_server_can_be_asked_of(engine):
    assert "check --api-base" in refusal(engine(address="http://\u2603.net/v1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://user:hidden@127.0.0.1:9"),
        ("HTTPS_PROXY", "http://user:hidden"),
        ("SSL_CERT_FILE", "/nowhere/hidden"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told_in_one_line(engine, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("builtins.__import__", _without_socks(builtins.__import__))
    with pytest.raises(LampbenchError, match=f"unset .*{name}") as raised:
        engine(address="https://api.example/v1")
    assert "hidden" not in str(raised.value) and "\n" not in str(raised.value)


def _without_socks(load):
    def find(name, *rest):
        if name == "socksio":
            raise ImportError(name)
        return load(name, *rest)

    return find


def test_a_server_that_hangs(api_server, engine):
    api_server.behaviour = lambda body, number: Answer({}, delay=30)
    began = time.monotonic()
    assert "no complete reply within 0.3 s" in refusal(engine(timeout=0.3))
    assert time.monotonic() - began < 20


def test_a_server_that_sends_one_byte_at_a_time(api_server, engine):
    api_server.behaviour = lambda body, number: Answer(completion(body), drip=0.1)
    began = time.monotonic()
    assert "no complete reply within 0.5 s" in refusal(engine(timeout=0.5))
    assert time.monotonic() - began < 20
