"""The least time that a device needs, from its measured copy rate and matrix product rate."""

from collections.abc import Sequence
from functools import cache

import torch

from benchmarks import timing
from benchmarks.workloads import USER, Workload
from lampbench.engine.batched.adapter_layout import new_layout
from lampbench.engine.protocol import TrainJob


def share(
    work: Workload, operation: str, users: int, prompt: int, answer: int, seconds: float
) -> float:
    """Least possible time of one call of `generate`, divided by the time it took."""
    return round(sum(least_seconds(work, operation, users, prompt, answer)) / seconds, 3)


def least_seconds(
    work: Workload, operation: str, users: int, prompt: int, answer: int
) -> tuple[float, float]:
    """Least possible seconds of reading the prompts, and of the steps after the first token.

    Reading prompts is bounded by operations (2 per weight and token), each step of decoding by
    operations or bytes, whichever takes longer: all weights once, every row's keys and values,
    every user's adapter. The K samples of a prompt share its reading, as in our engine.
    """
    model = work.batched._model
    copies, products = _rates(work.device, work.dtype)
    config = model.config.get_text_config()
    head = config.vocab_size * config.hidden_size
    every = sum(parameter.numel() for parameter in model.parameters())
    body = every - head * (1 if config.tie_word_embeddings else 2)
    size = torch.finfo(getattr(torch, work.dtype)).bits // 8
    prompts = users * (2 if operation == "contrastive" else 1)
    rows = users * {"contrastive": 2, "greedy": 1, "sample": 3}[operation]
    reading = 2 * (body * prompt + head) * prompts / products
    width = config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * width * size
    adapters = 0 if operation == "sample" else users * _adapter(work) * size
    decoding = 0.0
    for step in range(1, answer):
        read = (body + head) * size + rows * (prompt + step) * per_token + adapters
        decoding += max(read / copies, 2 * (body + head) * rows / products)
    return reading, decoding


def trained_share(work: Workload, jobs: Sequence[TrainJob], seconds: float) -> float:
    """As `share`, for one call of `train`.

    2 operations per weight and token forward and 2 backward (frozen weights have no gradient of
    their own); for DPO 2 more, once, for the reference model.
    """
    engine = work.batched
    _, products = _rates(work.device, work.dtype)
    config = engine._model.config.get_text_config()
    head = config.vocab_size * config.hidden_size
    every = sum(parameter.numel() for parameter in engine._model.parameters())
    body = every - head * (1 if config.tie_word_embeddings else 2)
    operations = 0
    for job in jobs:
        passes = 4 * job.optim.epochs + (2 if job.dpo else 0)
        trees = [example.tree for example in engine._training_data.run(job).examples]
        operations += passes * sum(body * tree.tokens + head * tree.labels for tree in trees)
    return round(operations / products / seconds, 3)


def _adapter(work: Workload) -> int:
    return new_layout(work.batched._model, USER).size


@cache
def _rates(device: str, dtype: str) -> tuple[float, float]:
    place = torch.device(device)
    return timing.copy_rate(place), timing.matmul_rate(place, getattr(torch, dtype))
