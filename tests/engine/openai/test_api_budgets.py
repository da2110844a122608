"""Budgets of tokens and money with an API."""

import pytest

from lampbench.engine.openai.api_engine import ApiEngine
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.token_account import TokenAccount
from lampbench.util.errors import OutOfBudget
from tests.engine.openai.asking import answers, many, refusal, request
from tests.shared.api_server import MODEL, Answer, completion


def spent(engine, requests):
    found, error = answers(engine, requests)
    return found, error, isinstance(error, OutOfBudget)


def test_a_budget_of_tokens_is_kept_and_each_command_has_its_own(api_server, engine):
    requests = many(30)
    first, error, over = spent(engine(max_total_tokens=300, concurrency=4), requests)
    assert over and "300 tokens" in str(error)
    used = sum(one.prompt_tokens + one.new_tokens for one in first.values())
    assert 0 < used <= 300 and len(first) == len(api_server.seen) < 30
    rest = [one for one in requests if (one.id, 0) not in first]
    second, error, over = spent(engine(max_total_tokens=300, concurrency=4), rest)
    assert over and len(second) > 0


def test_a_budget_of_money_is_kept(engine):
    prices = {"input_price": 1_000_000, "output_price": 2_000_000}
    found, error, over = spent(engine(max_cost=500, concurrency=3, **prices), many(50))
    used = sum(one.prompt_tokens + 2 * one.new_tokens for one in found.values())
    assert over and 0 < used <= 500 and "budget of 500" in str(error)


def test_requests_under_way_do_not_exceed_a_budget(api_server, engine):
    dear = {"prompt_tokens": 140, "completion_tokens": 16}
    api_server.behaviour = lambda body, number: Answer(completion(body, usage=dear), delay=0.1)
    found, _, over = spent(engine(max_total_tokens=600, concurrency=8), many(20))
    assert over and len(found) == len(api_server.seen) == 3  # 3 * 156 and what a fourth may cost


def test_engines_share_the_account_of_a_command(api_server):
    options = ApiOptions(address=api_server.base, max_total_tokens=400)
    account = TokenAccount(options)
    first, second = (ApiEngine(MODEL, options, account, print) for _ in range(2))
    answers(first, many(6))
    kept, _ = answers(second, many(50))
    first.close()
    second.close()
    assert account.counted.read + account.counted.written <= 400
    assert len(kept) < 25


def test_a_request_without_a_reply_counts_in_full(api_server, engine):
    def hanging(body, number):
        return Answer({}, delay=30) if number else None

    api_server.behaviour = hanging
    slow = engine(max_total_tokens=10_000, timeout=5, retries=0, concurrency=1)
    answers(slow, many(2))
    counted = slow._requests._account.counted
    assert counted.written == 3 + 16 and counted.read > 10 + 100


def test_a_budget_cannot_be_kept_where_nothing_is_counted(api_server, engine):
    api_server.behaviour = lambda body, number: Answer(completion(body, usage=None))
    assert "does not say how many tokens" in refusal(engine(max_total_tokens=10_000))
    (found,) = engine().generate([request()])
    assert (found.prompt_tokens, found.new_tokens, found.served.new_tokens) == (0, 0, None)


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 900}, "900 new tokens where 16 were allowed"),
        ({"prompt_tokens": -5, "completion_tokens": 9}, "no numbers of tokens"),
        ({"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 6}, "contradicts itself"),
    ],
)
def test_a_usage_that_cannot_be_true_is_refused(api_server, engine, usage, told):
    api_server.behaviour = lambda body, number: Answer(completion(body, usage=usage))
    assert told in refusal(engine())
