"""Sorting sequences of different lengths into forward passes of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.batched.row_shapes import padded

Packed = TypeVar("Packed")


@dataclass(frozen=True, slots=True)
class PassLimits:
    """What one forward pass may hold: `tokens`, padding included, and `labels`, which need logits.

    A single sequence may exceed both.
    """

    tokens: int
    labels: int


def pass_kind(tree: PromptTree) -> tuple[int, bool]:
    """What trees that share a pass have in common: the padded length, and whether it has a mask."""
    return padded(tree.tokens), len(tree.branches) > 1


def pack(
    items: Sequence[Packed],
    tree: Callable[[Packed], PromptTree],
    limits: PassLimits,
    batch_invariant: bool = False,
) -> Iterator[list[Packed]]:
    """Items in batches of similar length within the limits; `tree` gives an item's tokens.

    The longest come first, so that what does not fit into memory fails at once. With
    `batch_invariant`, a batch has items of one `pass_kind`, and those of a kind keep their order.
    """
    batch: list[Packed] = []
    longest = labels = 0
    order = pass_kind if batch_invariant else attrgetter("tokens")
    for item in sorted(items, key=lambda item: order(tree(item)), reverse=True):
        own = tree(item)
        full = longest * (len(batch) + 1) > limits.tokens or labels + own.labels > limits.labels
        other = batch_invariant and batch and pass_kind(own) != pass_kind(tree(batch[0]))
        if batch and (full or other):
            yield batch
            batch, longest, labels = [], 0, 0
        longest, labels = max(longest, own.tokens), labels + own.labels
        batch.append(item)
    if batch:
        yield batch
