"""Log-probabilities of responses: the ingredients of equation 5."""

import math
from typing import Any

import pytest
import torch

from lampbench.core.fidelity import PAPER
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import ScoreRequest
from lampbench.engine.reference.engine import ReferenceEngine
from tests.engine.engine_inputs import MODELS, prompt

RESPONSES = ["Storm closes harbour", "The quick brown fox jumps over the old bridge", "x", ""]


def requests(weights, text_format="chat"):
    return [
        ScoreRequest(f"s{i}", prompt(i), r, weights, text_format) for i, r in enumerate(RESPONSES)
    ]


def scored(engine, asked):
    return {score.id: score.logprobs for score in engine.score(asked)}


def unbatched(model, ids, begin):
    """Log-probabilities of ids[begin:], from one row, unpadded, without a cache."""
    with torch.no_grad():
        logs = model(torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)
    return [float(logs[at - 1, ids[at]]) for at in range(begin, len(ids))]


@pytest.mark.parametrize("name", MODELS)
def test_a_padded_batch_equals_each_alone_under_merged_weights(
    engine, merged_model, adapters, name
):
    """Right padding, and for Gemma a sliding window shorter than the prompts."""
    tam, user, _ = adapters(name)
    made, model = engine(name), merged_model(name, tam, user)
    found = scored(made, requests((tam, user)))
    for i, response in enumerate(RESPONSES):
        pair = made._encoder.encode_responses("s", prompt(i), [response])
        ids = [*pair.prompt, *pair.responses[0]]
        assert found[f"s{i}"] == pytest.approx(unbatched(model, ids, len(pair.prompt)), abs=2e-4)
        # the response's own tokens and one end of turn
        text = made._encoder.tokenizer(response, add_special_tokens=False)["input_ids"]
        assert len(found[f"s{i}"]) == len(text) + 1


def test_the_reward_of_equation_5_by_hand(engine, merged_model, adapters):
    """Sum over the response's tokens of log p_user - log p_base, user = TAM + OPPU, base = TAM."""
    tam, user, _ = adapters()
    made = engine()
    pair = made._encoder.encode_responses("s", prompt(0), [RESPONSES[0]])
    ids = [*pair.prompt, *pair.responses[0]]
    ratio = 1.0
    with torch.no_grad():
        p_user = merged_model("llama", tam, user)(torch.tensor([ids])).logits[0].softmax(-1)
        p_base = merged_model("llama", tam)(torch.tensor([ids])).logits[0].softmax(-1)
    for at in range(len(pair.prompt), len(ids)):
        ratio *= float(p_user[at - 1, ids[at]] / p_base[at - 1, ids[at]])
    users, bases = (scored(made, requests(w))["s0"] for w in ((tam, user), (tam,)))
    assert math.fsum(users) - math.fsum(bases) == pytest.approx(math.log(ratio), abs=1e-3)
    assert abs(math.log(ratio)) > 0.05


def test_raw_text_scores_prompt_and_response(engine, merged_model):
    made = engine()
    found = scored(made, requests((), "raw"))
    tokens = made._encoder.tokenizer
    ids = [*tokens(prompt(1).text)["input_ids"], *tokens(RESPONSES[1])["input_ids"]]
    assert found["s1"] == pytest.approx(unbatched(merged_model("llama"), ids, 1), abs=2e-4)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_raw_text_of_one_token_has_nothing_to_score(engine, model_folder, engine_device, count):
    """Qwen's tokenizer adds no BOS, so that nothing is before the first token."""
    spec = resolve_model(str(model_folder("qwen")))
    options: Any = {"device": engine_device, "dtype": "float32", "chat_template": None}
    slow = ReferenceEngine(spec, fidelity=PAPER, **options)
    asked = [
        ScoreRequest(str(n), Prompt("", (Piece("a" * (n > 0)),)), "b" * (n > 1), (), "raw")
        for n in range(count)
    ]
    for made in (engine("qwen"), slow):
        found = scored(made, asked)
        assert [len(found[request.id]) for request in asked] == [0, 0, 1][:count]


@pytest.mark.parametrize("tokens", [1, 300, 10_000])
@pytest.mark.parametrize("labels", [1, 10_000])
def test_no_score_depends_on_its_batch(engine, adapters, limit_passes, tokens, labels):
    tam, user, other = adapters()
    asked = requests((tam, user)) + [
        ScoreRequest(f"o{r.id}", r.prompt, r.response, (tam, other)) for r in requests(())
    ]
    expected = scored(engine(), asked)
    limit_passes(tokens, labels)
    found = scored(engine(), asked[::-1])
    assert found.keys() == expected.keys()
    for name, logs in expected.items():
        assert found[name] == pytest.approx(logs, abs=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_is_near_and_reported_in_float32(engine, adapters, dtype):
    tam, user, _ = adapters()
    exact = scored(engine(), requests((tam, user)))
    found = scored(engine(dtype=dtype), requests((tam, user)))
    for name, logs in exact.items():
        assert found[name] == pytest.approx(logs, abs=0.5)
        assert found[name] != logs
