"""Where the numbers of an adapter lie in one flat vector, so that many users' can be stacked."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.lora_init import LoraMatrices, target_layers
from lampbench.engine.protocol import LoraSpec

ScaledAdapters = Sequence[tuple[LoraMatrices, Mapping[str, float]]]
"""Adapters that act together, each with the factor of its product (alpha / rank) by layer."""


@dataclass(frozen=True)
class AdapterLayout:
    """Positions of an adapter's numbers in a flat vector of `size`, layer by layer.

    `shapes` are (inputs, outputs) by layer. Each layer has room for `rank`: A [rank, inputs], then
    B transposed [rank, outputs]. An adapter of a lower rank, or without a layer, leaves zeros
    there, which add nothing.
    """

    shapes: Mapping[str, tuple[int, int]]
    rank: int

    @property
    def size(self) -> int:
        """Numbers of one adapter."""
        return self.rank * sum(inputs + outputs for inputs, outputs in self.shapes.values())

    def flatten(self, adapters: ScaledAdapters) -> Tensor:
        """Adapters that act together, as one vector [size] in float32 on the CPU.

        Their ranks follow one another, and B includes the factors.
        """
        vector = torch.zeros(self.size)
        views = self.views(vector.unsqueeze(0))
        begin = dict.fromkeys(self.shapes, 0)
        for matrices, factors in adapters:
            for name, (first, second) in matrices.items():
                ranks = slice(begin[name], begin[name] + len(first))
                views[name][0][0, ranks] = first
                views[name][1][0, ranks] = second.T * factors[name]
                begin[name] = ranks.stop
        return vector

    def unflatten(self, vector: Tensor) -> LoraMatrices:
        """The matrices in a vector [size], as views; the factor is 1."""
        views = self.views(vector.unsqueeze(0))
        return {name: (first[0], second[0].T) for name, (first, second) in views.items()}

    def views(self, stack: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """A [adapters, rank, inputs] and B transposed [adapters, rank, outputs] by layer.

        They are views of `stack` [adapters, size].
        """
        views, begin = {}, 0
        for name, (inputs, outputs) in self.shapes.items():
            middle = begin + self.rank * inputs
            end = middle + self.rank * outputs
            views[name] = (
                stack[:, begin:middle].view(len(stack), self.rank, inputs),
                stack[:, middle:end].view(len(stack), self.rank, outputs),
            )
            begin = end
        return views


def new_layout(model: Any, lora: LoraSpec) -> AdapterLayout:
    """The layout of new adapters of this shape.

    Raises:
        LampbenchError: a target is not a linear layer of the model.
    """
    layers = target_layers(model, lora)
    shapes = {name: (layer.in_features, layer.out_features) for name, layer in layers.items()}
    return AdapterLayout(shapes, lora.rank)


def smallest_layout(
    groups: Iterable[Sequence[LoraMatrices]], shapes: Mapping[str, tuple[int, int]]
) -> AdapterLayout:
    """The smallest layout that fits each group of adapters that act together.

    `shapes` are (inputs, outputs) of the model's linear layers, in order.
    """
    rank = 0
    used: set[str] = set()
    for adapters in groups:
        ranks: dict[str, int] = {}
        for matrices in adapters:
            for name, (first, _) in matrices.items():
                ranks[name] = ranks.get(name, 0) + len(first)
        rank = max([rank, *ranks.values()])
        used |= ranks.keys()
    return AdapterLayout({name: shape for name, shape in shapes.items() if name in used}, rank)


def lora_factors(config: Any, matrices: LoraMatrices) -> dict[str, float]:
    """What PEFT multiplies each layer's product by: alpha / rank, or alpha / sqrt(rank)."""
    from peft.utils.other import get_pattern_key

    factors = {}
    for name, (first, _) in matrices.items():
        pattern = get_pattern_key(list(config.alpha_pattern), name)
        alpha = config.alpha_pattern.get(pattern, config.lora_alpha)
        factors[name] = alpha / (math.sqrt(len(first)) if config.use_rslora else len(first))
    return factors
