"""Scores from a server that returns the log-probabilities of a prompt's tokens, as vLLM does."""

from typing import Any

import pytest

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.openai import persistent_request
from lampbench.engine.openai.api_engine import ApiEngine
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.token_account import TokenAccount
from lampbench.engine.protocol import ScoreRequest
from lampbench.util.errors import LampbenchError
from tests.shared.api_server import MODEL, Answer, completion

PROMPT = Prompt("Be brief.", (Piece("Write a title."),))


@pytest.fixture
def score(api_server, monkeypatch):
    monkeypatch.setattr(persistent_request, "backoff", lambda failures: 0.01)
    options = ApiOptions(address=api_server.base, timeout=5.0, retries=2)
    engine = ApiEngine(MODEL, options, TokenAccount(options), print)
    yield lambda *requests: {one.id: one.logprobs for one in engine.score(requests)}
    engine.close()


def request(name="q", response="A new title", **given):
    return ScoreRequest(name, PROMPT, response, (), **given)


def rendered(body):
    """The words of the conversation under a chat template: each word is a token."""
    words = ["<s>"]
    for message in body["messages"]:
        words += [f"<{message['role']}>", *message["content"].split(), "<end>", "\n"]
    return words + (["<assistant>"] if body["add_generation_prompt"] else [])


def vllm(body, number, rendered=rendered):
    """A token of n letters has the log-probability -n; every second one is the most probable."""
    entries: list[Any] = [None]
    for place, word in enumerate(rendered(body)[1:]):
        own = {"logprob": -float(len(word)), "rank": 1 + 4 * (place % 2), "decoded_token": word}
        best = {"logprob": -0.1, "rank": 1, "decoded_token": "best"}
        number = str(sum(ord(c) * 7**n for n, c in enumerate(word)))
        entries.append({number: own} if own["rank"] == 1 else {number: own, "999999999": best})
    return Answer(completion(body, "x", prompt_logprobs=entries))


def test_a_response_and_its_end_are_scored_in_the_servers_template(api_server, score):
    api_server.behaviour = vllm
    found = score(request(), request("r", "Longest title"))
    assert found == {"q": (-1.0, -3.0, -5.0, -5.0), "r": (-7.0, -5.0, -5.0)}
    assert {body["prompt_logprobs"] for body in api_server.bodies} == {1}
    last = [body["messages"][-1]["role"] for body in api_server.bodies]
    assert last.count("assistant") == 2 and 1 <= last.count("user") <= 2


def test_a_prompt_is_asked_for_once(api_server, score):
    api_server.behaviour = vllm
    score(request())
    score(request(response="Another"), request("r", "Third"))
    assert len(api_server.seen) == 4


def test_scores_of_another_model_are_refused_as_its_answers_are(api_server, score):
    api_server.behaviour = lambda body, number: Answer(
        completion(body, "x", prompt_logprobs=[None], model="other")
    )
    with pytest.raises(LampbenchError, match="give --model other if it is meant"):
        score(request())


@pytest.mark.parametrize("given", [{"format": "raw"}])
def test_what_an_api_cannot_score_is_refused(api_server, score, given):
    with pytest.raises(LampbenchError, match="without a chat template"):
        score(request(**given))
    assert not api_server.seen


def test_a_template_that_moves_the_prompt_is_refused(api_server, score):
    def moving(body):
        return rendered(body)[:1] + rendered(body)[len(body["messages"]) :]

    api_server.behaviour = lambda body, number: vllm(body, number, moving)
    with pytest.raises(LampbenchError, match="does not put an answer after the tokens"):
        score(request())


def reasoning(body):
    """Qwen3's template writes an empty thought before the last answer, and none into a prompt."""
    return [part for word in rendered(body) for part in
            ([word, "<think>", "</think>"] if word == "<assistant>" and
             not body["add_generation_prompt"] else [word])]  # fmt: skip


def endless(body):
    return [word for word in rendered(body) if word != "<end>"]


@pytest.mark.parametrize("template", [reasoning, endless])
def test_a_template_that_writes_something_else_than_the_answer_is_refused(
    api_server, score, template
):
    api_server.behaviour = lambda body, number: vllm(body, number, template)
    with pytest.raises(LampbenchError, match="not the response with a token that ends its turn"):
        score(request())


def test_what_a_template_writes_after_the_end_of_a_turn_is_not_scored(api_server, score):
    def more(body):
        return [*rendered(body), *([] if body["add_generation_prompt"] else ["</s>", "\n"])]

    api_server.behaviour = lambda body, number: vllm(body, number, more)
    assert score(request()) == {"q": (-1.0, -3.0, -5.0, -5.0)}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (None, "no log-probabilities of a prompt"),
        ([], "no list of tokens"),
        ([None, {}], "one token and the best one"),
        ([None, {"5": {"logprob": -1.0}}], "no rank"),
        ([None, {"5": {"logprob": "-1", "rank": 1}}], "a log-probability is '-1'"),
        ([None, {"5": {"logprob": 1.0, "rank": 1}}], "a log-probability is 1.0"),
        ([None, {"five": {"logprob": -1.0, "rank": 1}}], "not by its id"),
        ([None, 7], "one token and the best one"),
    ],
)
def test_log_probabilities_that_are_none_are_refused(api_server, score, entries, told):
    api_server.behaviour = lambda body, number: Answer(
        completion(body, "x", prompt_logprobs=entries)
    )
    with pytest.raises(LampbenchError) as refusal:
        score(request())
    assert told in str(refusal.value) and "\n" not in str(refusal.value)
