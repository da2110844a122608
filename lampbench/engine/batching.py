"""Batches: filled by length, halved when the device runs out of memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

Q = TypeVar("Q")
R = TypeVar("R")


def batches(
    items: Sequence[Q], length: Callable[[Q], int], size: int, work: Callable[[list[Q]], list[R]]
) -> Iterator[tuple[Q, R]]:
    """Run `work` over items of like length, `size` at a time; yields each item with its result.

    When the device is out of memory the batch is halved, down to a single item.
    """
    queue = sorted(items, key=length, reverse=True)
    while queue:
        batch, queue = queue[:size], queue[size:]
        try:
            results = work(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            size = (len(batch) + 1) // 2
            queue = batch + queue
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        yield from zip(batch, results, strict=True)
