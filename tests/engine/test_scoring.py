"""Log-probabilities of responses: the ingredients of equation 5."""

import math

import pytest
import torch
from given import MODELS, prompt

from lampbench.engine.protocol import ScoreRequest
from lampbench.engine.scoring import padded, positions, response_logprobs

RESPONSES = ["Storm closes harbour", "The quick brown fox jumps over the old bridge", "x", ""]


def requests(weights, text="chat"):
    return [ScoreRequest(f"s{i}", prompt(i), r, weights, text) for i, r in enumerate(RESPONSES)]


def scored(engine, asked):
    return {score.id: score.logprobs for score in engine.score(asked)}


def alone(model, ids, begin):
    """Log-probabilities of ids[begin:], from one row, unpadded, without a cache."""
    with torch.no_grad():
        logs = model(torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)
    return [float(logs[place - 1, ids[place]]) for place in range(begin, len(ids))]


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_batch_equals_each_alone_under_merged_weights(engine, naive, adapters, name):
    """Left padding, and for Gemma a sliding window shorter than the prompts."""
    tam, user, _ = adapters(name)
    made, model = engine(name), naive(name, tam, user)
    found = scored(made, requests((tam, user)))
    for i, response in enumerate(RESPONSES):
        pair = made._encoder.answered("s", prompt(i), [response])
        ids = [*pair.prompt, *pair.responses[0]]
        assert found[f"s{i}"] == pytest.approx(alone(model, ids, len(pair.prompt)), abs=2e-4)
        # the response's own tokens and one end of turn
        text = made._encoder.tokenizer(response, add_special_tokens=False)["input_ids"]
        assert len(found[f"s{i}"]) == len(text) + 1


def test_rows_end_together_and_count_their_own_tokens():
    tokens, mask = padded([[7, 8, 9], [5]], 0, torch.device("cpu"))
    assert tokens.tolist() == [[7, 8, 9], [0, 0, 5]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert positions(mask).tolist() == [[0, 1, 2], [0, 0, 0]]


def test_the_reward_of_equation_5_by_hand(engine, naive, adapters):
    """Sum over the response's tokens of log p_user - log p_base, user = TAM + OPPU, base = TAM."""
    tam, user, _ = adapters()
    made = engine()
    pair = made._encoder.answered("s", prompt(0), [RESPONSES[0]])
    ids = [*pair.prompt, *pair.responses[0]]
    ratio = 1.0
    with torch.no_grad():
        p_user = naive("llama", tam, user)(torch.tensor([ids])).logits[0].softmax(-1)
        p_base = naive("llama", tam)(torch.tensor([ids])).logits[0].softmax(-1)
    for place in range(len(pair.prompt), len(ids)):
        ratio *= float(p_user[place - 1, ids[place]] / p_base[place - 1, ids[place]])
    users, bases = (scored(made, requests(w))["s0"] for w in ((tam, user), (tam,)))
    assert math.fsum(users) - math.fsum(bases) == pytest.approx(math.log(ratio), abs=1e-3)
    assert abs(math.log(ratio)) > 0.05


def test_raw_text_scores_prompt_and_response(engine, naive):
    made = engine()
    found = scored(made, requests((), "raw"))
    tokens = made._encoder.tokenizer
    ids = [*tokens(prompt(1).text)["input_ids"], *tokens(RESPONSES[1])["input_ids"]]
    assert found["s1"] == pytest.approx(alone(naive("llama"), ids, 1), abs=2e-4)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_no_score_depends_on_its_batch(engine, adapters, size):
    tam, user, other = adapters()
    asked = requests((tam, user)) + [
        ScoreRequest(f"o{r.id}", r.prompt, r.response, (tam, other)) for r in requests(())
    ]
    expected = scored(engine(), asked)
    found = scored(engine(batch_size=size), asked[::-1])
    assert found.keys() == expected.keys()
    for name, logs in expected.items():
        assert found[name] == pytest.approx(logs, abs=1e-4)


def test_what_is_scored_is_the_response_alone():
    """A model that is sure of the token after each: certain where right, hopeless where not."""

    class Counting(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, input_ids, attention_mask, position_ids, use_cache, logits_to_keep):
            logits = torch.nn.functional.one_hot((input_ids + 1) % 10, 10) * 50.0
            return type("Out", (), {"logits": logits[:, -logits_to_keep:]})

    prompts, responses = [[1, 2, 3], [7]], [[4, 5], [8, 1, 2]]
    first, second = response_logprobs(Counting(), prompts, responses, pad=0)
    assert first.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert second.tolist() == pytest.approx([0, -50, 0], abs=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_is_near_and_reported_in_float32(engine, adapters, dtype):
    tam, user, _ = adapters()
    exact = scored(engine(), requests((tam, user)))
    found = scored(engine(dtype=dtype), requests((tam, user)))
    for name, logs in exact.items():
        assert found[name] == pytest.approx(logs, abs=0.5)
        assert found[name] != logs
