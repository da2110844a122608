"""The stacked LoRA: the adapters of all users of a batch in one tensor a layer.

A batch goes through the shared, frozen linear layers once; to each row of the output its own
user's low-rank product is added, all rows' in two batched matrix products. So a forward pass
costs the same whether its rows belong to one user or to a hundred (PEFT's mixed batches loop over
the users in every layer).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

Pairs = dict[str, tuple[Tensor, Tensor]]
"""A [rank, inputs] and B [outputs, rank] by the name of the linear layer they sit on."""

Scaled = Sequence[tuple[Pairs, Mapping[str, float]]]
"""Adapters that act together, each with its scale (alpha / rank) a layer."""


@dataclass(frozen=True)
class Layout:
    """Where an adapter's numbers stand in one flat vector of `size`, layer by layer.

    `shapes` are (inputs, outputs) by layer. Every layer has room for `rank`: A [rank, inputs],
    then B transposed [rank, outputs]. An adapter of a lower rank, or without a layer, leaves
    zeros, which add nothing.
    """

    shapes: Mapping[str, tuple[int, int]]
    rank: int

    @property
    def size(self) -> int:
        """Numbers of one adapter."""
        return self.rank * sum(inputs + outputs for inputs, outputs in self.shapes.values())

    def flat(self, adapters: Scaled) -> Tensor:
        """Adapters as one vector [size], float32: their ranks one after the other, their scales
        multiplied into B.
        """
        vector = torch.zeros(self.size)
        views = self.views(vector.unsqueeze(0))
        begin = dict.fromkeys(self.shapes, 0)
        for pairs, scales in adapters:
            for name, (first, second) in pairs.items():
                place = slice(begin[name], begin[name] + len(first))
                views[name][0][0, place] = first
                views[name][1][0, place] = second.T * scales[name]
                begin[name] = place.stop
        return vector

    def pairs(self, vector: Tensor) -> Pairs:
        """A [rank, inputs] and B [outputs, rank] by layer, of a vector [size] (scale 1)."""
        views = self.views(vector.unsqueeze(0))
        return {name: (first[0], second[0].T) for name, (first, second) in views.items()}

    def views(self, stack: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """A [slots, rank, inputs] and B transposed [slots, rank, outputs] by layer, as views of a
        stack [slots, size].
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


@dataclass
class Rows:
    """Which rows of a batch get which adapters of the stack.

    Each row has one, or the first of `every` so many. `slots` are their adapters' places, or None
    for the first so many in order; a stack of one adapter serves every row. `scale` multiplies the
    product. In training, `keep` draws dropout masks.
    """

    every: int = 1
    slots: Tensor | None = None
    scale: float = 1.0
    keep: "Dropout | None" = None


class Dropout:
    """Dropout masks on the LoRA's input that belong to a row, whoever shares its batch.

    `seeds` and `lengths` (in tokens) are the rows'. A layer's mask is drawn from the row's seed
    and the layer's number, so that a recomputed forward pass sees it again.
    """

    def __init__(self, rate: float, seeds: Sequence[int], lengths: Sequence[int]) -> None:
        self._rate, self._seeds, self._lengths = rate, seeds, lengths

    def __call__(self, inputs: Tensor, layer: int) -> Tensor:
        """`inputs` [rows, tokens, width] with zeros at random places, the rest scaled up."""
        kept = torch.zeros_like(inputs)
        generator = torch.Generator(inputs.device)
        for row, (seed, length) in enumerate(zip(self._seeds, self._lengths, strict=True)):
            generator.manual_seed(seed + layer)
            kept[row, :length].bernoulli_(1 - self._rate, generator=generator)
        return inputs * kept.div_(1 - self._rate)


class Stack:
    """Hooks on a model's linear layers that add each row's own product.

    Nothing is added while no adapters are set, and the layers themselves are left alone.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._number = {name: i for i, (name, _) in enumerate(model.named_modules())}
        self._hooked: set[str] = set()
        self._shared: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self._own: Mapping[str, tuple[Tensor, Tensor]] = {}
        self.batch = Rows()

    def share(self, adapters: Scaled) -> None:
        """Adapters that act on every row of every batch from here on."""
        self._shared = {}
        for pairs, scales in adapters:
            for name, (first, second) in pairs.items():
                weight = self._hook(name).weight
                place = {"device": weight.device, "dtype": _compute_dtype(weight)}
                halves = first.to(**place), (second * scales[name]).to(**place)
                self._shared.setdefault(name, []).append(halves)

    @contextmanager
    def having(self, own: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
        """Inside, rows get adapters of this stack (as `Layout.views` gives it) as `batch` says."""
        for name in own:
            self._hook(name)
        before, self._own = self._own, own
        try:
            yield
        finally:
            self._own = before

    def _hook(self, name: str) -> Any:
        layer = self._model.get_submodule(name)
        if name not in self._hooked:
            number = self._number[name]
            self._hooked.add(name)
            layer.register_forward_hook(
                lambda _, inputs, output: self._add(name, number, inputs[0], output)
            )
        return layer

    def _add(self, name: str, number: int, inputs: Tensor, output: Tensor) -> Tensor:
        for first, second in self._shared.get(name, ()):
            output = output + linear(linear(inputs.to(first.dtype), first), second).to(output.dtype)
        if name not in self._own:
            return output
        first, second = self._own[name]
        batch = self.batch
        given = inputs[:: batch.every].to(first.dtype)
        if batch.keep is not None:
            given = batch.keep(given, number)
        if len(first) == 1:
            first, second = (half.expand(len(given), -1, -1) for half in (first, second))
        elif batch.slots is None:
            first, second = first[: len(given)], second[: len(given)]
        else:
            first, second = (half.index_select(0, batch.slots) for half in (first, second))
        low = torch.bmm(given, first.mT)
        added = torch.bmm(low, second)
        if batch.scale != 1.0:
            added = added * batch.scale
        if torch.is_grad_enabled():
            return output + added.to(output.dtype)
        output[:: batch.every] += added
        return output


def _compute_dtype(weight: Tensor) -> torch.dtype:
    """The precision in which a frozen adapter acts on a layer: the layer's, or float32 where
    that is no floating-point one (quantised weights).
    """
    return weight.dtype if weight.is_floating_point() else torch.float32


def layout_of(stacks: Iterable[Sequence[Pairs]], shapes: Mapping[str, tuple[int, int]]) -> Layout:
    """The smallest layout with room for each of `stacks` (adapters that act together);
    `shapes` are the model's layers in order.
    """
    rank = 0
    used: set[str] = set()
    for pairs in stacks:
        ranks: dict[str, int] = {}
        for adapter in pairs:
            for name, (first, _) in adapter.items():
                ranks[name] = ranks.get(name, 0) + len(first)
        rank = max([rank, *ranks.values()])
        used |= ranks.keys()
    return Layout({name: shape for name, shape in shapes.items() if name in used}, rank)


def scales_of(config: Any, pairs: Pairs) -> dict[str, float]:
    """What PEFT multiplies each layer's product with: alpha / rank, or alpha / sqrt(rank)."""
    from peft.utils.other import get_pattern_key

    scales = {}
    for name, (first, _) in pairs.items():
        pattern = get_pattern_key(list(config.alpha_pattern), name)
        alpha = config.alpha_pattern.get(pattern, config.lora_alpha)
        scales[name] = alpha / (math.sqrt(len(first)) if config.use_rslora else len(first))
    return scales
