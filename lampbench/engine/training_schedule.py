"""Which examples a training step takes, and at what learning rate."""

import math
from functools import lru_cache

import torch

from lampbench.engine.protocol import OptimSpec
from lampbench.util.hashing import seed_from


def total_steps(spec: OptimSpec, examples: int) -> int:
    """Optimiser steps of a whole training; the last batch of an epoch may be smaller."""
    return spec.epochs * math.ceil(examples / spec.batch_size)


def learning_rate(spec: OptimSpec, step: int, steps: int) -> float:
    """Learning rate of a step, counted from 0, of `steps`.

    It rises linearly from zero over the first ceil(warmup_ratio x steps) steps, then falls linearly
    towards zero, as in transformers' `get_linear_schedule_with_warmup`.
    """
    warmup = math.ceil(spec.warmup_ratio * steps)
    if step < warmup:
        return spec.learning_rate * step / warmup
    return spec.learning_rate * (steps - step) / max(1, steps - warmup)


def batch_indices(spec: OptimSpec, examples: int, seed: int, step: int) -> list[int]:
    """Indices of the examples in the batch of a step, counted from 0.

    Each epoch has its own random order, drawn from the job's seed.
    """
    epoch, batch = divmod(step, math.ceil(examples / spec.batch_size))
    order = _order(seed, epoch, examples)
    return list(order[batch * spec.batch_size : (batch + 1) * spec.batch_size])


def dropout_seed(seed: int, step: int, example: int) -> int:
    """Seed of an example's dropout masks in a step of the job with `seed`."""
    return seed_from(seed, "dropout", step, example)


@lru_cache(maxsize=256)  # a job asks for it at every step
def _order(seed: int, epoch: int, examples: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(seed_from(seed, "order", epoch))
    return tuple(torch.randperm(examples, generator=generator).tolist())
