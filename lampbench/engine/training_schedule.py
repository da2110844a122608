"""When a training takes which examples, and at what rate."""

import math

import torch

from lampbench.engine.protocol import OptimSpec
from lampbench.util.hashing import seed_from


def steps_of(spec: OptimSpec, examples: int) -> int:
    """Optimiser steps in all; the last batch of an epoch may be smaller."""
    return spec.epochs * math.ceil(examples / spec.batch_size)


def rate(spec: OptimSpec, step: int, steps: int) -> float:
    """Learning rate of a step (from 0): linear warm-up from zero over ceil(ratio x steps) steps,
    then linear decay towards zero.
    """
    warmup = math.ceil(spec.warmup_ratio * steps)
    if step < warmup:
        return spec.learning_rate * step / warmup
    return spec.learning_rate * (steps - step) / max(1, steps - warmup)


def batch_of(spec: OptimSpec, examples: int, seed: int, step: int) -> list[int]:
    """The examples of a step; every epoch has its own order, drawn from the job's seed."""
    epoch, place = divmod(step, math.ceil(examples / spec.batch_size))
    shuffle = torch.Generator().manual_seed(seed_from(seed, "order", epoch))
    order = torch.randperm(examples, generator=shuffle).tolist()
    return order[place * spec.batch_size : (place + 1) * spec.batch_size]
