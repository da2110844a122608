"""A key/value cache with a fixed place for every row: rows come and go, the others stay put."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class _Layer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer's keys and values [rows, heads, tokens, width], made when first written."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, slots: "Slots") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make room in the shape of the model's own; zeros, since even masked places take part."""
        slots = self._slots
        self.keys, self.values = (
            states.new_zeros(slots.rows, states.shape[1], slots.tokens, states.shape[3])
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write new tokens; returns what this forward pass attends to."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        slots = self._slots
        if slots.filling is not None:
            source, target = slots.filling
            length = key_states.shape[2]
            self.keys[target, :, :length] = key_states[source]
            self.values[target, :, :length] = value_states[source]
            return key_states, value_states
        rows = slots.index[: len(key_states)]
        self.keys[rows, :, slots.position] = key_states[:, :, 0]
        self.values[rows, :, slots.position] = value_states[:, :, 0]
        active = slice(len(key_states))
        return self.keys[active, :, : slots.longest], self.values[active, :, : slots.longest]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Only asked while prompts are read: each attends to itself alone."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """As above."""
        return 0

    def get_max_length(self) -> int:
        """Tokens a row."""
        return self._slots.tokens


class Slots(Cache):
    """Keys and values of at most `rows` sequences of at most `tokens` tokens.

    A forward pass either reads prompts (`fill`) or one token of each of the first rows
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
        """The next pass reads prompts: row source[i] of it goes to the place target[i], so that
        one prompt may fill several places.
        """
        self.filling = source, target

    def advance(self, position: Tensor, longest: int) -> None:
        """The next pass has one token a row; it stands at `position` [rows], and no row has more
        than `longest` tokens.
        """
        self.filling, self.position, self.longest = None, position, longest

    def move(self, source: Tensor, target: Tensor, tokens: int) -> None:
        """Copy the first `tokens` of some rows to the places of others."""
        for layer in self._own:
            for states in (layer.keys, layer.values):
                states[target, :, :tokens] = states[source, :, :tokens]
