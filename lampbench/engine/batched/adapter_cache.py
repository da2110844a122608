"""The adapters of one model: read once, kept while memory allows, read again when needed."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lampbench.engine import adapter_files
from lampbench.engine.batched.stacked_lora import Layout, Pairs, Scaled, Stack, layout_of, scales_of
from lampbench.engine.protocol import LoraSpec, Weights

_KEEP = 1 << 30


@dataclass(frozen=True, slots=True)
class _Read:
    pairs: Pairs
    scales: dict[str, float]
    bytes: int


class Adapters:
    """Adapters by path, of which at most `keep` bytes stay in memory.

    `freeze` lets a stack that everybody shares (TAM) act on every row: in float32 by adding it
    to the weights, as `merge_and_unload` does, which costs nothing afterwards; in a lower
    precision, which would round it away, as a product of its own.
    """

    def __init__(self, model: Any, base: str, stack: Stack, keep: int = _KEEP) -> None:
        self._model, self._base, self._stack, self._keep = model, base, stack, keep
        head = model.get_output_embeddings()
        self._shapes = {
            name: (int(module.in_features), int(module.out_features))
            for name, module in model.named_modules()
            if hasattr(module, "in_features") and module is not head
        }
        self._resident: OrderedDict[tuple[Any, ...], _Read] = OrderedDict()
        self._held = 0
        self._frozen: tuple[tuple[Any, ...], ...] = ()
        self._pristine: dict[str, Tensor] = {}

    def freeze(self, prefix: Weights) -> None:
        """Let the adapters of `prefix`, and no others, act on every row from here on.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        signatures = tuple(adapter_files.signature(path) for path in prefix)
        if signatures == self._frozen:
            return
        adapters = self._scaled(prefix)
        self._restore()
        rest: list[tuple[Pairs, dict[str, float]]] = []
        with torch.no_grad():
            for pairs, scales in adapters:
                left = {name: pair for name, pair in pairs.items() if not self._merges(name)}
                rest.append((left, {name: scales[name] for name in left}))
                for name in pairs.keys() - left.keys():
                    self._merge(name, pairs[name], scales[name])
        self._stack.share(rest)
        self._frozen = signatures

    def layout(self, stacks: Iterable[Weights]) -> Layout:
        """A layout that holds each of `stacks`.

        Raises:
            LampbenchError: as in `freeze`.
        """
        return layout_of(
            ([self._read(path).pairs for path in stack] for stack in stacks), self._shapes
        )

    def flat(self, layout: Layout, stack: Weights) -> Tensor:
        """A stack as one vector [layout.size]: the sum of its adapters' products."""
        return layout.flat(self._scaled(stack))

    def start(self, path: Path, lora: LoraSpec) -> Pairs:
        """A saved adapter that training is to continue.

        Raises:
            LampbenchError: as in `freeze`, or it has another shape than `lora`.
        """
        found = adapter_files.read(path, self._model, self._base)
        found.require(lora, self._model)
        return {name: (a.float(), b.float()) for name, (a, b) in found.layers.items()}

    def _scaled(self, stack: Weights) -> Scaled:
        found = [self._read(path) for path in stack]
        return [(each.pairs, each.scales) for each in found]

    def _read(self, path: Path) -> _Read:
        name = adapter_files.signature(path)
        if name not in self._resident:
            self._resident[name] = self._load(path)
            self._held += self._resident[name].bytes
        self._resident.move_to_end(name)
        while self._held > self._keep and len(self._resident) > 1:
            _, oldest = self._resident.popitem(last=False)
            self._held -= oldest.bytes
        return self._resident[name]

    def _load(self, path: Path) -> _Read:
        found = adapter_files.read(path, self._model, self._base)
        pairs = {name: (a.float(), b.float()) for name, (a, b) in found.layers.items()}
        size = sum(4 * half.numel() for pair in pairs.values() for half in pair)
        return _Read(pairs, scales_of(found.config, pairs), size)

    def _merges(self, name: str) -> bool:
        return bool(self._model.get_submodule(name).weight.dtype == torch.float32)

    def _merge(self, name: str, pair: tuple[Tensor, Tensor], scale: float) -> None:
        weight = self._model.get_submodule(name).weight
        if name not in self._pristine:
            self._pristine[name] = weight.clone()
        first, second = (half.to(weight.device) for half in pair)
        weight += (second @ first) * scale

    def _restore(self) -> None:
        """The model's own weights again, to the bit."""
        with torch.no_grad():
            for name, weight in self._pristine.items():
                self._model.get_submodule(name).weight.copy_(weight)
        self._pristine.clear()
        self._stack.share([])
        self._frozen = ()


def split(weights: Weights, against: Weights | None = None) -> tuple[Weights, Weights, Weights]:
    """What a request's rows share, and what is the user's own and the contrasted row's own.

    Shared is everything but the last adapter, as far as `against` has it too. It depends on the
    request alone, so that nobody's arithmetic changes with who else is there.
    """
    shared = weights[:-1]
    if against is not None:
        common = 0
        for ours, theirs in zip(shared, against, strict=False):
            if ours != theirs:
                break
            common += 1
        shared = shared[:common]
    return shared, weights[len(shared) :], (against or ())[len(shared) :]
