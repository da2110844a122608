"""Many users in one pass: everyone's log-probabilities are what peft gives that user alone, and do
not depend on who else is there; responses to one prompt share its reading.
"""

import random

import pytest
from alone import Alone
from given import MODELS, RESPONSES, prompt, stacks

from lampbench.engine.protocol import ScoreRequest


def scores(engine, requests):
    found = {score.id: score.logprobs for score in engine.score(requests)}
    assert len(found) == len(requests)
    return found


def apart(found, expected):
    assert all(len(found[name]) == len(expected[name]) for name in expected)
    return max(
        abs(a - b) for name in expected for a, b in zip(found[name], expected[name], strict=True)
    )


def to_score(weights):
    """Responses to prompts, some of which share one."""
    return [
        ScoreRequest(f"{n}/{i}/{t}", prompt(n % 5), response, stack, t)
        for n, stack in enumerate(weights)
        for i, response in enumerate(RESPONSES)
        for t in ("chat", "raw")
        if t == "chat" or n < 4
    ]


@pytest.mark.parametrize("name", MODELS)
def test_log_probabilities_equal_pefts(engine, adapters, crowd, alone, name):
    """Five responses to each prompt share its reading, and for Gemma a window of twelve tokens
    slides over prompt and response.
    """
    tam, _, _ = adapters(name)
    made, tokens = engine(name), engine(name)._encoder.tokenizer
    requests = to_score([weights for weights, _ in stacks(tam, crowd(name))[2:]])
    expected = {}
    for r in requests:
        if r.format == "raw":
            first, *rest = tokens(r.prompt.text)["input_ids"] + tokens(r.response)["input_ids"]
            expected[r.id] = alone(name).logprobs(r.weights, [first], rest)
        else:
            pair = made._encoder.answered("s", r.prompt, [r.response])
            expected[r.id] = alone(name).logprobs(r.weights, pair.prompt, pair.responses[0])
    assert apart(scores(made, requests), expected) < 1e-4


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_a_score_is_the_same_alone_in_two_and_in_sixty_four(engine, adapters, crowd, name):
    tam, _, _ = adapters(name)
    made, users = engine(name), crowd(name)
    requests = to_score([(tam, user) for user in users] + [(tam,), (), (users[0], users[1])])
    assert len(requests) >= 64
    together = scores(made, requests)
    shuffled = random.Random(1).sample(requests, len(requests))
    assert apart(scores(made, shuffled), together) < 1e-5
    for n in range(0, len(requests), 9):  # a prompt's responses, each in a pass of its own
        pair = scores(made, shuffled[n : n + 2])
        assert apart(pair, {key: together[key] for key in pair}) < 1e-5
        single = scores(made, requests[n : n + 1])
        assert apart(single, {key: together[key] for key in single}) < 1e-5


def test_responses_share_their_prompt_only_as_long_as_the_context(engine, naive):
    """Ten responses to one prompt, together longer than what the model can hold."""
    made, oracle = engine(), Alone(naive("llama"))
    requests = [ScoreRequest(str(n), prompt(n=2), "The harbour " * (n + 3), ()) for n in range(10)]
    lengths = []
    hook = made._model.register_forward_pre_hook(
        lambda _, arguments, named: lengths.append(named["input_ids"].shape), with_kwargs=True
    )
    found = scores(made, requests)
    hook.remove()
    pairs = {r.id: made._encoder.answered("s", r.prompt, [r.response]) for r in requests}
    expected = {i: oracle.logprobs((), p.prompt, p.responses[0]) for i, p in pairs.items()}
    assert apart(found, expected) < 1e-4
    assert max(tokens for _, tokens in lengths) <= made._encoder.context
    assert sum(rows for rows, _ in lengths) < 10
