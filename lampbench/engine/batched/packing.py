"""Sorting sequences of different lengths into forward passes of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lampbench.engine.batched.prompt_tree import PromptTree

Packed = TypeVar("Packed")


@dataclass(frozen=True, slots=True)
class PassLimits:
    """What one forward pass may hold: `tokens`, padding included, and `labels`, which need logits.

    A single sequence may exceed both.
    """

    tokens: int
    labels: int


def pack(
    items: Sequence[Packed], tree: Callable[[Packed], PromptTree], limits: PassLimits
) -> Iterator[list[Packed]]:
    """Items in batches of similar length within the limits; `tree` gives an item's tokens.

    The longest come first, so that what does not fit into memory fails at once.
    """
    batch: list[Packed] = []
    longest = labels = 0
    for item in sorted(items, key=lambda item: tree(item).tokens, reverse=True):
        own = tree(item)
        full = longest * (len(batch) + 1) > limits.tokens or labels + own.labels > limits.labels
        if batch and full:
            yield batch
            batch, longest, labels = [], 0, 0
        longest, labels = max(longest, own.tokens), labels + own.labels
        batch.append(item)
    if batch:
        yield batch
