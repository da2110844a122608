"""Dropout of the reference engine: PEFT's place for it, our generator's masks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.lora_dropout import LoraDropout


class SeededDropout(torch.nn.Module):
    """The dropout module of one layer's LoRA; `masks` None lets everything through."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self._layer = layer
        self.masks: LoraDropout | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """`inputs` [rows, tokens, width] after dropout."""
        if self.masks is None:
            return inputs
        return self.masks(inputs, self._layer) * self.masks.scale


@contextmanager
def lora_dropout(
    model: Any, rate: float, seeds: Sequence[int], positions: Tensor
) -> Iterator[None]:
    """Inside, the adapter that is trained has this dropout.

    The base model's own stays off, as in every engine. For `seeds` [rows] and `positions`
    [rows, tokens] see `LoraDropout`.
    """
    modules = [module for module in model.modules() if isinstance(module, SeededDropout)]
    masks = LoraDropout(rate, torch.tensor(list(seeds), device=positions.device), positions)
    for module in modules:
        module.masks = masks
    try:
        yield
    finally:
        for module in modules:
            module.masks = None
