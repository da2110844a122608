"""Sliding windows, biases, tied weights and other ways to compute attention, as other models of the
paper's architectures have them, compared with a float64 decoder that has no cache.
"""

import json
import shutil
from typing import Any

import pytest
import torch

from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, ScoreRequest
from tests.engine.engine_inputs import RESPONSES, prompt
from tests.engine.plain_peft import PlainPeft, plain_answers
from tests.engine.tiny_models import load_engine

VARIANTS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "window in all layers": ("mistral", {"sliding_window": 9}, None),
    "window in upper layers": (
        "qwen",
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1,
         "layer_types": ["full_attention", "sliding_attention"]},
        None,
    ),
    "window switched off": ("qwen", {"use_sliding_window": False, "sliding_window": 7}, None),
    "another scale of the scores": ("gemma", {"query_pre_attn_scalar": 50}, None),
    "biases of queries, keys and values": ("qwen", {}, None),
    "biases in all layers": ("llama", {"attention_bias": True, "mlp_bias": True}, None),
    "tied weights": ("llama", {"tie_word_embeddings": True}, None),
    "tied weights and windows": ("gemma", {"tie_word_embeddings": True}, None),
    "tied weights and a window": (
        "mistral", {"tie_word_embeddings": True, "sliding_window": 9}, None
    ),
    "tied weights and biases": ("qwen", {"tie_word_embeddings": True}, None),
    "norms of queries and keys": ("qwen-norms", {}, None),
    "capped logits and scores": ("gemma-caps", {}, None),
    "eager attention": ("gemma", {}, "eager"),
    "eager attention, no window": ("llama", {}, "eager"),
}  # fmt: skip


def biases(model):
    """The biases of a model's linear layers, all of them other than zero."""
    found = [
        m.bias for m in model.modules() if isinstance(m, torch.nn.Linear) and m.bias is not None
    ]
    assert all(bias.abs().min() > 0 for bias in found)
    return found


def varied(folder, config, copy):
    """A model with another configuration on the same weights; biases are drawn."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(folder, copy)
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(values | config))
    before = AutoModelForCausalLM.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(copy))
    model.load_state_dict(before.state_dict(), strict=False)
    model.tie_weights()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module.bias is not None:
                module.bias.normal_(0, 0.3)
    model.generation_config = before.generation_config
    model.save_pretrained(copy)
    return copy


def float64(folder):
    """The decoder that engines are compared with: double precision, plain attention, no cache."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float64
    ).eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_equals_a_float64_decoder(model_folder, tmp_path, random_adapters, variant):
    """Answers of several users, and scores of responses that share a prompt."""
    name, config, attention = VARIANTS[variant]
    copy = varied(model_folder(name), config, tmp_path / "model")
    made = load_engine(copy, arguments=ModelArguments(attn_implementation=attention))
    inside = made._model
    tied = inside.get_output_embeddings().weight is inside.get_input_embeddings().weight
    assert tied == config.get("tie_word_embeddings", False)
    assert bool(biases(inside)) == ("biases" in variant or name == "qwen")
    plain = PlainPeft(float64(copy))
    users = random_adapters(name)
    for user in users:
        plain.logits((user,), [0])  # PEFT loads it, in float32
    plain._model.double()
    spec = GenerationSpec(12, 1.2, contrast=Contrast((users[2],), 0.3, 0.1))
    requests = [
        GenerateRequest(f"q{n}", prompt(n), (users[2], users[n]), spec) for n in (0, 1, 3, 4)
    ]
    found = {(c.id, c.sample): c.token_ids for c in made.generate(requests)}
    assert found == plain_answers(made, plain, requests)
    asked = [ScoreRequest(str(n), prompt(n // 4), RESPONSES[n % 4 + 1], (users[0],))
             for n in range(8)]  # fmt: skip
    pairs = {r.id: made._encoder.encode_responses("s", r.prompt, [r.response]) for r in asked}
    expected = {i: plain.logprobs((users[0],), p.prompt, p.responses[0]) for i, p in pairs.items()}
    scores = {score.id: score.logprobs for score in made.score(asked)}
    assert scores.keys() == expected.keys()
    for name, logs in expected.items():
        assert scores[name] == pytest.approx(logs, abs=1e-4)


def test_rows_of_a_mask_begin_where_a_gpus_kernel_wants_them(engine, monkeypatch):
    """At multiples of 16 bytes: otherwise it is copied in every layer. A CPU has them together."""
    masks = engine()._forward.masks
    allowed = torch.ones(3, 1, 13, dtype=torch.bool)
    assert masks(allowed, torch.zeros(3, 1), torch.zeros(3, 13)).is_contiguous()
    monkeypatch.setattr(masks, "_aligned", 8)
    for keys in (1, 7, 8, 13):
        allowed = torch.arange(keys).expand(3, 1, keys) < torch.tensor([1, 5, 9])[:, None, None]
        mask = masks(allowed, torch.zeros(3, 1), torch.arange(keys).expand(3, -1))
        assert torch.equal(mask == 0, allowed.unsqueeze(1))
        assert mask.stride(0) % 8 == 0
