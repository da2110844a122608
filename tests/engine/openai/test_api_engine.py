"""The API engine against a server that throttles, fails, cuts, hangs and lies."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.openai import persistent_request
from lampbench.engine.openai.api_engine import ApiEngine
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.token_account import TokenAccount
from lampbench.engine.protocol import (
    Contrast,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
)
from lampbench.util.errors import LampbenchError, OutOfBudget
from tests.shared.api_server import MODEL, Answer, completion


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(persistent_request, "backoff", lambda failures: 0.01)


@pytest.fixture
def said():
    return []


@pytest.fixture
def engine(api_server, said):
    made = []

    def make(**options):
        chosen = ApiOptions(**{"address": api_server.base, "timeout": 5.0, "retries": 3, **options})
        made.append(ApiEngine(MODEL, chosen, TokenAccount(chosen), said.append))
        return made[-1]

    yield make
    for each in made:
        each.close()


def request(name="q", text="Write a title.", system="Be brief.", spec=None, **given):
    spec = spec or GenerationSpec(max_new_tokens=16)
    return GenerateRequest(name, Prompt(system, (Piece(text),)), (), spec, **given)


def many(count=6, **given):
    return [request(f"q{n}", f"Write title {n}.", **given) for n in range(count)]


def answers(engine, requests):
    """What was received, by request, and the error at the end."""
    found, error = {}, None
    try:
        for one in engine.generate(requests):
            found[one.id, one.sample] = one
    except LampbenchError as caught:
        error = caught
        assert "\n" not in str(caught)
    return found, error


def refusal(engine, requests=None):
    found, error = answers(engine, requests or [request()])
    assert error is not None and not found
    return str(error)


def test_a_greedy_request(api_server, engine):
    (found,) = engine().generate([request(seed=3)])
    assert api_server.bodies == [
        {
            "model": MODEL,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Write a title."},
            ],
            "max_tokens": 16,
            "temperature": 0,
        }
    ]
    assert found.text.startswith("answer ") and not found.truncated
    assert (found.prompt_tokens, found.new_tokens, found.token_ids) == (10, 3, ())
    assert (found.served.model, found.served.fingerprint) == (MODEL, "fp_1")


def test_without_a_system_instruction_there_is_no_such_message(api_server, engine):
    list(engine().generate([request(system="")]))
    assert [one["role"] for one in api_server.bodies[0]["messages"]] == ["user"]


def test_samples_are_asked_one_by_one_with_seeds_of_their_own(api_server, engine):
    spec = GenerationSpec(16, sampling=Sampling(0.7, 0.9))
    three, _ = answers(engine(), [request(spec=spec, samples=3, seed=5)])
    again, _ = answers(engine(), [request(spec=spec, samples=2, seed=5)])
    assert len({one.text for one in three.values()}) == 3
    assert {again[key].text == three[key].text for key in again} == {True}
    for body in api_server.bodies:
        assert (body["temperature"], body["top_p"], "n" in body) == (0.7, 0.9, False)


def test_further_fields_go_into_every_request_and_a_seed_can_be_left_out(api_server, engine):
    spec = GenerationSpec(16, sampling=Sampling(0.7, 0.9))
    fields = {"seed": None, "reasoning_effort": "low"}
    list(engine(fields=fields).generate([request(spec=spec)]))
    (body,) = api_server.bodies
    assert body["reasoning_effort"] == "low" and "seed" not in body


@pytest.mark.parametrize(
    ("spec", "given", "what"),
    [
        (GenerationSpec(16, repetition_penalty=1.2), {}, "repetition penalty"),
        (GenerationSpec(16, contrast=Contrast((), 0.1, 0.1)), {}, "contrastive decoding"),
        (GenerationSpec(16, min_new_tokens=2), {}, "min_new_tokens"),
        (GenerationSpec(16), {"teacher_text": "so"}, "teacher forcing"),
        (GenerationSpec(16), {"generation_prompt": False}, "user's turn"),
    ],
)
def test_nothing_is_asked_of_the_api_that_it_does_not_have(api_server, engine, spec, given, what):
    assert what in refusal(engine(), [request(spec=spec, **given)])
    assert not api_server.seen


def test_requests_are_sent_together_but_never_more_than_allowed(api_server, engine):
    api_server.behaviour = lambda body, number: Answer(completion(body), delay=0.05)
    found, error = answers(engine(concurrency=3), many(12))
    assert len(found) == 12 and error is None
    assert 1 < api_server.most_at_once <= 3


def test_the_key_is_sent_and_never_told(api_server, engine, said, monkeypatch):
    monkeypatch.setenv("LAMPBENCH_API_KEY", "sk-secret")
    list(engine().generate([request()]))
    assert api_server.seen[0][1]["authorization"] == "Bearer sk-secret"
    wrong = {"error": {"message": "Incorrect API key provided: sk-secret."}}
    api_server.behaviour = lambda body, number: Answer(wrong, 401)
    told = refusal(engine())
    assert "LAMPBENCH_API_KEY is refused" in told and "401" in told
    assert "sk-secret" not in told + "".join(said)


def test_a_server_that_wants_a_key_where_there_is_none(api_server, engine):
    api_server.behaviour = lambda body, number: Answer({"error": "no"}, 401)
    assert "no key was sent; set LAMPBENCH_API_KEY" in refusal(engine())
    assert len(api_server.seen) == 1


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
        (Answer({"error": {"message": "temperature must be 1"}}, 400), "temperature must be 1"),
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


def test_the_newer_name_of_the_budget_is_used_where_it_is_asked_for(api_server, engine):
    text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def newer(body, number):
        return Answer({"error": {"message": text}}, 400) if "max_tokens" in body else None

    api_server.behaviour = newer
    found, error = answers(engine(concurrency=1), many(3))
    assert len(found) == 3 and error is None
    assert [body.get("max_completion_tokens") for body in api_server.bodies] == [None, 16, 16, 16]
    api_server.behaviour = lambda body, number: Answer({"error": {"message": text}}, 400)
    assert "max_completion_tokens" in refusal(engine())


def one_of(*numbers, **changes):
    """A behaviour that changes the answers to some questions."""
    return lambda body, number: (
        Answer(completion(body, **changes))
        if any(f"title {n}." in body["messages"][-1]["content"] for n in numbers)
        else None
    )


@pytest.mark.parametrize(
    "changes",
    [{"text": ""}, {"_finish_reason": "content_filter"},
     {"_message": {"content": None, "refusal": "I cannot do that"}}],
)  # fmt: skip
def test_an_answer_that_is_withheld_is_told_when_all_others_are_there(
    api_server, engine, said, changes
):
    api_server.behaviour = one_of(2, 4, **changes)
    found, error = answers(engine(), many())
    assert {name for name, _ in found} == {"q0", "q1", "q3", "q5"}
    assert "no answer to 2 of 6 requests" in str(error) and "withheld=record" in str(error)
    assert sorted(line.split(":")[0] for line in said) == ["no answer to q2", "no answer to q4"]


def test_an_empty_answer_is_recorded_only_where_that_was_asked_for(api_server, engine, said):
    api_server.behaviour = one_of(2, text="")
    found, error = answers(engine(withheld="record"), many())
    assert error is None and len(found) == 6
    assert (found["q2", 0].text, found["q2", 0].served.withheld) == ("", "empty")
    assert found["q1", 0].served.withheld == "" and len(said) == 1


def test_a_prompt_that_is_filtered_is_an_answer_that_is_withheld(api_server, engine):
    refused = {"error": {"message": "The response was filtered", "code": "content_filter"}}

    def some(body, number):
        filtered = "title 3." in body["messages"][-1]["content"]
        return Answer(refused, 400) if filtered else None

    api_server.behaviour = some
    found, error = answers(engine(), many())
    assert len(found) == 5 and "no answer to 1 of 6" in str(error)


def test_an_answer_cut_by_its_budget_is_truncated(api_server, engine):
    api_server.behaviour = one_of(1, _finish_reason="length")
    found, _ = answers(engine(), many(2))
    assert [found[f"q{n}", 0].truncated for n in (0, 1)] == [False, True]


def test_what_was_answered_before_an_error_is_kept(api_server, engine):
    def later(body, number):
        return Answer({"error": "revoked"}, 403) if number == 4 else None

    api_server.behaviour = later
    found, error = answers(engine(concurrency=2), many(20))
    assert "403" in str(error)
    assert len(found) == len(api_server.seen) - 1 >= 4


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


def test_a_prompt_that_the_server_cut_is_refused(api_server, engine):
    cut = {"prompt_tokens": 500, "completion_tokens": 3}
    api_server.behaviour = lambda body, number: Answer(completion(body, usage=cut))
    assert "cuts long prompts" in refusal(engine(), [request(text="many words " * 1_000)])


def test_an_interruption_waits_for_no_request(api_server, engine):
    def hanging(body, number):
        return None if number == 0 else Answer({}, delay=30)

    api_server.behaviour = hanging
    results = engine(timeout=30, concurrency=3).generate(many(5))
    next(results)
    began = time.monotonic()
    results.close()
    assert time.monotonic() - began < 20
    assert all(thread.daemon for thread in threading.enumerate()
               if thread.name.startswith("Thread-"))  # fmt: skip


def test_nothing_is_trained_or_combined(engine):
    with pytest.raises(LampbenchError, match="behind an API"):
        engine().train([], print)
    with pytest.raises(LampbenchError, match="behind an API"):
        engine().combine(None)


def test_a_server_without_log_probabilities_scores_nothing(api_server, engine):
    prompt = Prompt("Be brief.", (Piece("Write a title."),))
    with pytest.raises(LampbenchError, match="no log-probabilities of a prompt"):
        list(engine().score([ScoreRequest("q", prompt, "A title", ())]))
    assert len(api_server.seen) == 1
