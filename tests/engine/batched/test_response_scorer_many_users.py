"""Many users in one pass: each log-probability is what PEFT gives for the user alone, and does not
depend on the other users; responses to one prompt share its reading.
"""

import random

import pytest

from lampbench.engine.protocol import ScoreRequest
from tests.engine.engine_inputs import MODELS, RESPONSES, contrasts, prompt
from tests.engine.plain_peft import PlainPeft


def scores(engine, requests):
    found = {score.id: score.logprobs for score in engine.score(requests)}
    assert len(found) == len(requests)
    return found


def apart(found, expected):
    assert all(len(found[name]) == len(expected[name]) for name in expected)
    return max(
        abs(a - b) for name in expected for a, b in zip(found[name], expected[name], strict=True)
    )


def score_requests(weights):
    """Responses to prompts, some of which share one."""
    return [
        ScoreRequest(f"{n}/{i}/{t}", prompt(n % 5), response, each, t)
        for n, each in enumerate(weights)
        for i, response in enumerate(RESPONSES)
        for t in ("chat", "raw")
        if t == "chat" or n < 4
    ]


@pytest.mark.parametrize("name", MODELS)
def test_log_probabilities_equal_pefts(engine, adapters, random_adapters, plain_peft, name):
    """Five responses to each prompt share its reading, and for Gemma a window of twelve tokens
    slides over prompt and response.
    """
    tam, _, _ = adapters(name)
    made, tokens = engine(name), engine(name)._encoder.tokenizer
    requests = score_requests([weights for weights, _ in contrasts(tam, random_adapters(name))[2:]])
    expected = {}
    for r in requests:
        if r.format == "raw":
            first, *rest = tokens(r.prompt.text)["input_ids"] + tokens(r.response)["input_ids"]
            expected[r.id] = plain_peft(name).logprobs(r.weights, [first], rest)
        else:
            pair = made._encoder.encode_responses("s", r.prompt, [r.response])
            expected[r.id] = plain_peft(name).logprobs(r.weights, pair.prompt, pair.responses[0])
    assert apart(scores(made, requests), expected) < 1e-4


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_a_score_is_the_same_alone_with_one_and_with_63_others(
    engine, adapters, random_adapters, name
):
    tam, _, _ = adapters(name)
    made, users = engine(name), random_adapters(name)
    requests = score_requests([(tam, user) for user in users] + [(tam,), (), (users[0], users[1])])
    assert len(requests) >= 64
    together = scores(made, requests)
    shuffled = random.Random(1).sample(requests, len(requests))
    assert apart(scores(made, shuffled), together) < 1e-5
    for n in range(0, len(requests), 9):  # a prompt's responses, each in a pass of its own
        pair = scores(made, shuffled[n : n + 2])
        assert apart(pair, {key: together[key] for key in pair}) < 1e-5
        single = scores(made, requests[n : n + 1])
        assert apart(single, {key: together[key] for key in single}) < 1e-5


def test_responses_share_their_prompt_as_far_as_the_context_allows(engine, merged_model):
    """Ten responses to one prompt, together longer than the model's context."""
    made, plain = engine(), PlainPeft(merged_model("llama"))
    requests = [ScoreRequest(str(n), prompt(n=2), "The harbour " * (n + 3), ()) for n in range(10)]
    lengths = []
    hook = made._model.register_forward_pre_hook(
        lambda _, arguments, named: lengths.append(named["input_ids"].shape), with_kwargs=True
    )
    found = scores(made, requests)
    hook.remove()
    pairs = {r.id: made._encoder.encode_responses("s", r.prompt, [r.response]) for r in requests}
    expected = {i: plain.logprobs((), p.prompt, p.responses[0]) for i, p in pairs.items()}
    assert apart(found, expected) < 1e-4
    assert max(tokens for _, tokens in lengths) <= made._encoder.context
    assert sum(rows for rows, _ in lengths) < 10
