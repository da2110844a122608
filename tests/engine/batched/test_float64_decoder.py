"""The batched engine in float32 against a decoder in float64 that shares no code with it."""

from typing import Any

import pytest

from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec
from tests.engine.engine_inputs import prompt
from tests.engine.float64_decoder import Float64Decoder, best_next
from tests.engine.tiny_models import CONTEXT

MODELS: dict[str, dict[str, Any]] = {
    "llama-biases": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    "mistral-windows": {"sliding_window": 12, "tie_word_embeddings": False},
    "qwen-windows": {"sliding_window": 12, "tie_word_embeddings": True},
    "gemma-windows": {"sliding_window": 12, "tie_word_embeddings": True},
}
NEW, PENALTY, ALPHA, TAU = 16, 1.2, 0.3, 0.1
_NEARLY_TIED = 1e-4  # nats: float32 may choose the other one


@pytest.mark.parametrize("name", MODELS)
def test_greedy_and_contrastive_answers(engine, random_adapters, model_folder, name):
    """Six prompts of different lengths in one batch: three greedy, three contrastive."""
    made, (first, second, third, *_) = engine(name), random_adapters(name)
    config = Float64Decoder(model_folder(name)).config
    assert {key: config[key] for key in MODELS[name]} == MODELS[name]
    greedy = GenerationSpec(NEW, PENALTY)
    contrastive = GenerationSpec(NEW, PENALTY, contrast=Contrast((first,), ALPHA, TAU))
    user, base = (first, second, third), (first,)
    requests = [GenerateRequest(str(n), prompt(n), user, greedy) for n in range(3)]
    requests += [GenerateRequest(str(n), prompt(n), user, contrastive) for n in range(3, 6)]
    answers = {answer.id: answer for answer in made.generate(requests)}
    decoders = [Float64Decoder(model_folder(name), weights) for weights in (user, base)]
    stop = made._encoder.stop_ids(made._model)
    compared = 0
    for request in requests:
        answer = answers[request.id]
        tokens = made._encoder.encode_prompt(request.id, request.prompt, CONTEXT - NEW).ids
        against = decoders[1] if request.spec.contrast else None
        assert len(tokens) > 3 * 12, "longer than the windows"
        for place, token in enumerate([*answer.token_ids, None]):
            if token is None and answer.truncated:
                break
            best, ahead = best_next(
                tokens, answer.token_ids[:place], decoders[0], against,
                penalty=PENALTY, alpha=ALPHA, tau=TAU,
            )  # fmt: skip
            if ahead < _NEARLY_TIED:
                break
            assert best == token or (token is None and best in stop), (request.id, place)
            compared += 1
    assert compared > 30


def test_the_decoder_notices_what_it_is_for(engine, random_adapters, model_folder):
    """Without the window, a bias or an adapter it gives other logits."""
    tokens = list(range(10, 60))
    folder = model_folder("qwen-windows")
    whole = Float64Decoder(folder)
    logits = whole.logits(tokens)
    other = Float64Decoder(folder)
    other.config["sliding_window"] = 13
    assert (other.logits(tokens) - logits).abs().max() > 1e-3
    other = Float64Decoder(folder)
    other.weights["model.layers.0.self_attn.v_proj.bias"] *= 1.5
    assert (other.logits(tokens) - logits).abs().max() > 1e-3
    adapted = Float64Decoder(folder, random_adapters("qwen-windows")[:1])
    assert (adapted.logits(tokens) - logits).abs().max() > 1e-3
