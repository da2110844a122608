"""A key/value cache of fixed size: a row keeps its position while others come and go."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one layer [rows, heads, tokens, width], made when first written."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, cache: "KVCache") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._cache = cache

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room, with zeros: masked positions are part of the products too.

        A CPU multiplies queries with transposed keys a quarter faster.
        """
        rows, tokens = self._cache.rows, self._cache.tokens
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
        cache = self._cache
        if cache.filling is not None:
            source, target = cache.filling
            length = key_states.shape[2]
            self.keys[target, :, :length] = key_states[source]
            self.values[target, :, :length] = value_states[source]
            return key_states, value_states
        rows = cache.index[: len(key_states)]
        self.keys[rows, :, cache.position] = key_states[:, :, 0]
        self.values[rows, :, cache.position] = value_states[:, :, 0]
        active = slice(len(key_states))
        return self.keys[active, :, : cache.longest], self.values[active, :, : cache.longest]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Asked only while prompts are read, which attend to themselves alone."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Asked only while prompts are read, before which there is nothing."""
        return 0

    def get_max_length(self) -> int:
        """Most tokens per row."""
        return self._cache.tokens


class KVCache(Cache):
    """Keys and values of at most `rows` sequences of at most `tokens` tokens.

    A forward pass reads either whole prompts (`fill`) or one token of each of the first rows
    (`advance`).
    """

    def __init__(self, layers: int, rows: int, tokens: int, device: torch.device) -> None:
        self.rows, self.tokens = rows, tokens
        self.filling: tuple[Tensor, Tensor] | None = None
        self.index = torch.arange(rows, device=device)
        self.position = self.index[:0]
        self.longest = 0
        self._own = [_Layer(self) for _ in range(layers)]
        super().__init__(layers=list(self._own))

    def fill(self, source: Tensor, target: Tensor) -> None:
        """Prepare a pass over prompts: row source[i] of the pass is kept as row target[i].

        So one prompt may fill several rows.
        """
        self.filling = source, target

    def advance(self, position: Tensor, longest: int) -> None:
        """Prepare a pass over one token per row, at `position` [rows].

        No row has more than `longest` tokens, this one included.
        """
        self.filling, self.position, self.longest = None, position, longest

    def move(self, source: Tensor, target: Tensor, tokens: int) -> None:
        """Copy the first `tokens` tokens of the rows `source` over those of the rows `target`."""
        for layer in self._own:
            for states in (layer.keys, layer.values):
                states[target, :, :tokens] = states[source, :, :tokens]
