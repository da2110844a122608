"""The key and the budgets of an API."""

import pytest

from lampbench.engine.openai.api_options import ApiOptions, parse_fields
from lampbench.util.errors import LampbenchError


def options(base="http://localhost:1/v1", **given):
    return ApiOptions(address=base, **given)


def test_the_scheme_is_no_part_of_what_identifies_a_server():
    assert options("https://x.org/v1").place == options("http://x.org/v1").place == "x.org/v1"


def test_no_server_but_openai_gets_the_key_of_openai(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    assert options("https://api.openai.com/v1").key() == "sk-1"
    assert options("https://elsewhere.org/v1").key() is None
    assert options("https://api.openai.com.elsewhere.org/v1").key() is None
    monkeypatch.setenv("LAMPBENCH_API_KEY", "k-2\n")
    assert options("https://elsewhere.org/v1").key() == "k-2"


def test_a_named_variable_must_hold_a_key(monkeypatch):
    with pytest.raises(LampbenchError, match="GROQ_KEY holds no key"):
        options(key_variable="GROQ_KEY").key()
    monkeypatch.setenv("GROQ_KEY", "naïve secret")
    with pytest.raises(LampbenchError, match="GROQ_KEY") as refusal:
        options(key_variable="GROQ_KEY").key()
    assert "secret" not in str(refusal.value)


def test_a_budget_of_money_needs_prices():
    with pytest.raises(LampbenchError, match="input_price"):
        options(max_cost=1.0)
    with pytest.raises(LampbenchError, match="both prices"):
        options(input_price=1.0)
    assert options().cost(10, 10) is None
    assert options(input_price=2.0, output_price=10.0).cost(500_000, 100_000) == 2.0


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.0.0.9", True), ("[::1]", True), ("10.0.0.1", False),
     ("localhost.evil.org", False)],
)  # fmt: skip
def test_this_machine_is_told_from_others(host, here):
    assert options(f"http://{host}/v1").on_this_machine is here


def test_fields_are_a_json_object_of_names_that_are_not_ours():
    assert parse_fields('{"reasoning_effort": "low"}') == {"reasoning_effort": "low"}
    for text in ("", "[]", "{", '{"a": NaN}', "[" * 100_000):
        with pytest.raises(LampbenchError, match="fields"):
            parse_fields(text)
    for name in ("messages", "temperature", "n", "max_tokens", "stream", "add_generation_prompt"):
        with pytest.raises(LampbenchError, match=name):
            options(fields={name: 1})
    with pytest.raises(LampbenchError, match="--seed"):
        options(fields={"seed": 1})
    assert options(fields={"seed": None}).fields == {"seed": None}
    for secret in ({"api_key": "S3"}, {"extra": [{"Authorization": "S3"}]}, {"hf-token": "S3"}):
        with pytest.raises(LampbenchError, match="LAMPBENCH_API_KEY") as told:
            options(fields=secret)
        assert "S3" not in str(told.value)
    assert options(fields={"stop_token_ids": [3], "extra": {"truncate_prompt_tokens": 5}}).fields
