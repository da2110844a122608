"""Sliding windows and other ways to compute attention, as other models of the paper's architectures
have them: another configuration on the same weights.
"""

import json
import shutil

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.batched import engine as batched_engine
from lampbench.engine.load_model import load_model
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, ScoreRequest
from tests.engine.engine_inputs import RESPONSES, prompt
from tests.engine.plain_peft import PlainPeft, plain_answers

VARIANTS = {
    "window in all layers": ("mistral", {"sliding_window": 9}, None),
    "window in upper layers": (
        "qwen",
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1,
         "layer_types": ["full_attention", "sliding_attention"]},
        None,
    ),
    "window switched off": ("qwen", {"use_sliding_window": False, "sliding_window": 7}, None),
    "another scale of the scores": ("gemma", {"query_pre_attn_scalar": 50}, None),
    "eager attention": ("gemma", {}, "eager"),
    "eager attention, no window": ("llama", {}, "eager"),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_equals_plain_transformers(
    model_folder, tmp_path, random_adapters, monkeypatch, variant
):
    """Answers of several users, and scores of responses that share a prompt."""
    from transformers import AutoModelForCausalLM

    name, config, attention = VARIANTS[variant]
    copy = shutil.copytree(model_folder(name), tmp_path / "model")
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(values | config))

    def load(*arguments):
        loaded = load_model(*arguments)
        if attention:
            loaded.model.set_attn_implementation(attention)
        return loaded

    monkeypatch.setattr(batched_engine, "load_model", load)
    made = batched_engine.BatchedEngine(
        resolve_model(str(copy)), device="cpu", dtype="float32", chat_template=None, fidelity=PAPER
    )
    plain = PlainPeft(
        AutoModelForCausalLM.from_pretrained(copy, attn_implementation="eager").eval()
    )
    users = random_adapters(name)
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
