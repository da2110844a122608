"""The adapters of one model, read once and kept as long as memory allows."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lampbench.engine import adapter_files
from lampbench.engine.batched.adapter_layout import (
    AdapterLayout,
    ScaledAdapters,
    lora_factors,
    smallest_layout,
)
from lampbench.engine.lora_init import LoraMatrices
from lampbench.engine.protocol import Weights

_CAPACITY = 1 << 30  # bytes


@dataclass(frozen=True, slots=True)
class CachedAdapter:
    """An adapter in memory: its matrices in float32, their factors by layer, and its bytes."""

    matrices: LoraMatrices
    factors: dict[str, float]
    bytes: int


class AdapterCache:
    """Adapters by path, of which the last used are kept, at most `capacity` bytes.

    `base` is where `model` was loaded from.
    """

    def __init__(self, model: Any, base: str, capacity: int = _CAPACITY) -> None:
        self._model, self._base, self._capacity = model, base, capacity
        head = model.get_output_embeddings()
        self._shapes = {
            name: (int(module.in_features), int(module.out_features))
            for name, module in model.named_modules()
            if hasattr(module, "in_features") and module is not head
        }
        self._kept: OrderedDict[tuple[Any, ...], CachedAdapter] = OrderedDict()
        self.bytes_held = 0

    def layout(self, groups: Iterable[Weights]) -> AdapterLayout:
        """A layout that fits each group of adapters that act together.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        return smallest_layout(
            ([self._read(path).matrices for path in weights] for weights in groups), self._shapes
        )

    def shape(self, weights: Weights) -> tuple[int, tuple[str, ...]]:
        """The rank and the layers of adapters that act together.

        Raises:
            LampbenchError: as in `layout`.
        """
        found = self.layout([weights])
        return found.rank, tuple(found.shapes)

    def flatten(self, layout: AdapterLayout, weights: Weights) -> Tensor:
        """Adapters that act together as one vector [layout.size] in float32.

        Raises:
            LampbenchError: as in `layout`.
        """
        return layout.flatten(self.scaled(weights))

    def scaled(self, weights: Weights) -> ScaledAdapters:
        """Adapters that act together, with their factors.

        Raises:
            LampbenchError: as in `layout`.
        """
        found = [self._read(path) for path in weights]
        return [(each.matrices, each.factors) for each in found]

    def _read(self, path: Path) -> CachedAdapter:
        name = adapter_files.file_signature(path)
        if name not in self._kept:
            self._kept[name] = self._load(path)
            self.bytes_held += self._kept[name].bytes
        self._kept.move_to_end(name)
        while self.bytes_held > self._capacity and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.bytes_held -= oldest.bytes
        return self._kept[name]

    def _load(self, path: Path) -> CachedAdapter:
        found = adapter_files.read_adapter(path, self._model, self._base)
        matrices = {name: (a.float(), b.float()) for name, (a, b) in found.matrices.items()}
        size = sum(4 * matrix.numel() for pair in matrices.values() for matrix in pair)
        return CachedAdapter(matrices, lora_factors(found.config, matrices), size)
