"""Whatever combination of settings is asked for, both engines give the same answers and rewards."""

import random
from typing import Any

import pytest

from lampbench.core.fidelity import PAPER
from lampbench.engine.models import resolve_model
from lampbench.engine.protocol import Contrast, GenerateRequest, GenerationSpec, Sampling
from lampbench.engine.reference.engine import ReferenceEngine
from tests.engine.engine_inputs import prompt

REQUESTS, SPECS, PROMPTS = 30, 12, 9


def specification(draw, weights):
    """One of all ways to choose tokens, with the ends of each setting's range among them."""
    contrast = sampling = None
    if draw.random() < 0.75:
        contrast = Contrast(
            weights(),
            alpha=draw.choice([0.0, 0.3, 1.0]),
            tau=draw.choice([0.0, 1e-6, 0.1, 0.5, 1.0]),
            log_eps=draw.choice([None, None, 1e-3]),
            own=draw.choice([1.0, 1.0, 2.0, 0.0]),
            more=draw.choice([(), ((weights(), 0.5),), ((weights(), 0.0),)]),
        )
    elif draw.random() < 0.6:
        sampling = Sampling(draw.choice([0.3, 1.0, 2.0]), draw.choice([1.0, 0.9, 0.01]))
    return GenerationSpec(
        max_new_tokens=draw.choice([1, 2, 8]),
        repetition_penalty=draw.choice([1.0, 1.2, 2.0]),
        penalty_on=draw.choice(["scores", "logits"]),
        sampling=sampling,
        contrast=contrast,
        rewards=contrast is not None and draw.random() < 0.5,
        min_new_tokens=draw.choice([0, 0, 3]),
    )


def requested(draw, number, spec, weights):
    others = ()
    if spec.contrast and draw.random() < 0.4:
        others = tuple(
            draw.choice([None, prompt(draw.randrange(PROMPTS))]) for _ in spec.contrast.others
        )
    return GenerateRequest(
        f"q{number}",
        prompt(draw.randrange(PROMPTS)),
        weights(),
        spec,
        samples=draw.choice([1, 3]) if spec.sampling else 1,
        seed=number,
        teacher_text=draw.choice([None, None, None, "Storm closes harbour", ""]),
        other_prompts=others,
        generation_prompt=draw.random() < 0.8,
    )


def answers(engine, requests):
    return {(c.id, c.sample): c for c in engine.generate(requests)}


@pytest.mark.parametrize("name", ["gemma-windows", "qwen-norms"])
def test_both_engines_choose_the_same_tokens(
    engine, random_adapters, model_folder, monkeypatch, name
):
    """Many stop tokens, more answers than slots, rows with and without adapters, a fixed seed."""
    draw, folders = random.Random(1), random_adapters(name)
    options: dict[str, Any] = {
        "device": "cpu", "dtype": "float32", "chat_template": None, "fidelity": PAPER
    }  # fmt: skip
    slow = ReferenceEngine(resolve_model(str(model_folder(name))), **options)
    made = engine(name, batch_size=7)
    for each in (made, slow):
        ends = frozenset(range(0, len(made._encoder.tokenizer), 5))
        monkeypatch.setattr(each, "_stop", ends)

    def weights():
        return tuple(draw.sample(folders, draw.choice([0, 1, 1, 2])))

    specs = [specification(draw, weights) for _ in range(SPECS)]
    requests = [requested(draw, n, draw.choice(specs), weights) for n in range(REQUESTS)]
    expected = answers(slow, requests)
    for step in ("exact", "static"):
        monkeypatch.setattr(made, "_step", step)
        found = answers(made, requests)
        assert found.keys() == expected.keys()
        for key, one in expected.items():
            assert (found[key].token_ids, found[key].truncated) == (one.token_ids, one.truncated)
            assert found[key].rewards == pytest.approx(one.rewards, abs=1e-3)
