"""A key/value cache of fixed size: a row keeps its position while others come and go."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass(slots=True)
class _Pass:
    """What the layers of a cache share: its size, and what the next pass reads and writes.

    They do not refer to the cache itself. It would be freed by the garbage collector alone then, at
    any time, and a GPU would have no room for the next one.
    """

    rows: int
    tokens: int
    index: Tensor
    position: Tensor
    longest: int = 0
    filling: tuple[Tensor, Tensor] | None = None


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one layer [rows, heads, tokens, width], made when first written."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, shared: _Pass) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._shared = shared

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room, with zeros: masked positions are part of the products too.

        A CPU multiplies queries with transposed keys a quarter faster.
        """
        rows, tokens = self._shared.rows, self._shared.tokens
        _, heads, _, width = key_states.shape
        if key_states.device.type == "cpu":
            self.keys = key_states.new_zeros(rows, heads, width, tokens).mT
        else:
            self.keys = key_states.new_zeros(rows, heads, tokens, width)
        self.values = value_states.new_zeros(rows, heads, tokens, value_states.shape[3])
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write the keys and values of new tokens; returns those that this pass attends to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        shared = self._shared
        if shared.filling is not None:
            source, target = shared.filling
            length = key_states.shape[2]
            self.keys[target, :, :length] = key_states[source]
            self.values[target, :, :length] = value_states[source]
            return key_states, value_states
        rows = shared.index[: len(key_states)]
        self.keys[rows, :, shared.position] = key_states[:, :, 0]
        self.values[rows, :, shared.position] = value_states[:, :, 0]
        active = slice(len(key_states))
        return self.keys[active, :, : shared.longest], self.values[active, :, : shared.longest]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Asked only while prompts are read, which attend to themselves alone."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Asked only while prompts are read, before which there is nothing."""
        return 0

    def get_max_length(self) -> int:
        """Most tokens per row."""
        return self._shared.tokens


class KVCache(Cache):
    """Keys and values of at most `rows` sequences of at most `tokens` tokens.

    A forward pass reads either whole prompts (`fill`) or one token of each of the first rows
    (`advance`).
    """

    def __init__(self, layers: int, rows: int, tokens: int, device: torch.device) -> None:
        index = torch.arange(rows, device=device)
        self._shared = _Pass(rows, tokens, index, index[:0])
        self._own = [_Layer(self._shared) for _ in range(layers)]
        super().__init__(layers=list(self._own))

    def fill(self, source: Tensor, target: Tensor) -> None:
        """Prepare a pass over prompts: row source[i] of the pass is kept as row target[i].

        So one prompt may fill several rows.
        """
        self._shared.filling = source, target

    def advance(self, position: Tensor, longest: int) -> None:
        """Prepare a pass over one token per row, at `position` [rows].

        No row has more than `longest` tokens, this one included.
        """
        shared = self._shared
        shared.filling, shared.position, shared.longest = None, position, longest

    def move(self, source: Tensor, target: Tensor, tokens: int) -> None:
        """Copy the first `tokens` tokens of the rows `source` over those of the rows `target`."""
        for layer in self._own:
            for states in (layer.keys, layer.values):
                states[target, :, :tokens] = states[source, :, :tokens]
