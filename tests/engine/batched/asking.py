"""Asking the batched engine, and what answers are compared with."""

import torch

from lampbench.engine.protocol import GenerateRequest
from tests.engine.engine_inputs import prompt
from tests.engine.plain_peft import greedy_loop


def ask(n, weights, spec, **options):
    return GenerateRequest(f"q{n}", prompt(n), weights, spec, **options)


def answers(engine, requests):
    return {(c.id, c.sample): c for c in engine.generate(requests)}


def encoded(engine, n):
    room = engine._encoder.context - 20
    return engine._encoder.encode_prompt("q", prompt(n), room).ids


def looped(engine, n, budget, step):
    return greedy_loop(encoded(engine, n), engine._stop, budget, step)


def last(model, ids):
    with torch.no_grad():
        return model(ids, use_cache=False).logits[:, -1].float()
