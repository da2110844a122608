"""Adapters that all rows of a batch share (TAM): merged into the model's weights, and taken off.

In float32 they are added to the weights, as PEFT's `merge_and_unload` does, which costs nothing
afterwards. In a lower precision, where adding would round them away, each acts as a product of its
own.
"""

from typing import Any

import torch
from torch import Tensor

from lampbench.engine import adapter_files
from lampbench.engine.batched.adapter_cache import AdapterCache
from lampbench.engine.batched.stacked_lora import StackedLora
from lampbench.engine.lora_init import LoraMatrices
from lampbench.engine.protocol import Weights


class SharedAdapters:
    """Applies adapters to every row of `model`; without any, its weights are as loaded."""

    def __init__(self, model: Any, cache: AdapterCache, stacked: StackedLora) -> None:
        self._model, self._cache, self._stacked = model, cache, stacked
        self._applied: tuple[tuple[Any, ...], ...] | None = ()  # None if that failed
        self._pristine: dict[str, Tensor] = {}

    def apply(self, weights: Weights) -> None:
        """Let these adapters, and no others, act on every row from now on.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        signatures = tuple(adapter_files.file_signature(path) for path in weights)
        if signatures == self._applied:
            return
        adapters = self._cache.scaled(weights)
        self._applied = None  # until it is done: a full memory may end it halfway
        self._restore()
        rest: list[tuple[LoraMatrices, dict[str, float]]] = []
        with torch.no_grad():
            for matrices, factors in adapters:
                left = {name: pair for name, pair in matrices.items() if not self._merges(name)}
                rest.append((left, {name: factors[name] for name in left}))
                for name in matrices.keys() - left.keys():
                    self._merge(name, matrices[name], factors[name])
        self._stacked.share(rest)
        self._applied = signatures

    def _merges(self, name: str) -> bool:
        return bool(self._model.get_submodule(name).weight.dtype == torch.float32)

    def _merge(self, name: str, pair: tuple[Tensor, Tensor], factor: float) -> None:
        weight = self._model.get_submodule(name).weight
        if name not in self._pristine:
            self._pristine[name] = weight.clone()
        first, second = (matrix.to(weight.device) for matrix in pair)
        weight += (second @ first) * factor

    def _restore(self) -> None:
        """Put the model's own weights back, bit for bit."""
        with torch.no_grad():
            for name, weight in self._pristine.items():
                self._model.get_submodule(name).weight.copy_(weight)
        self._pristine.clear()
        self._stacked.share([])


def split_shared(weights: Weights, *others: Weights) -> tuple[Weights, tuple[Weights, ...]]:
    """What the rows of a request share, and the rest of `weights` and of each of `others`.

    Shared is everything but the last adapter, as far as the others begin with it too. It depends on
    the request alone, so that what a row is asked never changes with the other requests.
    """
    shared = weights[:-1]
    for other in others:
        while other[: len(shared)] != shared:
            shared = shared[:-1]
    return shared, tuple(each[len(shared) :] for each in (weights, *others))
