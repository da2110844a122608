"""Batches of like length, halved when the device runs out of memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from lampbench.errors import LampbenchError

Q = TypeVar("Q")
R = TypeVar("R")


def batches(
    items: Sequence[Q],
    length: Callable[[Q], int],
    size: int,
    work: Callable[[list[Q]], list[R]],
) -> Iterator[tuple[Q, R]]:
    """Run `work` over items of like length, `size` at a time; yields each item with its result.

    The longest come first, so that a batch that does not fit shows at once.

    Raises:
        LampbenchError: a single item does not fit into the device's memory.
    """
    queue = sorted(items, key=length, reverse=True)
    while queue:
        batch = queue[:size]
        try:
            results = work(batch)
        except RuntimeError as error:
            size = smaller(error, len(batch), length(batch[0]))
            continue
        queue = queue[size:]
        yield from zip(batch, results, strict=True)


def smaller(error: RuntimeError, size: int, tokens: int) -> int:
    """The batch size to try after `error`; the error itself if it is not about memory.

    Raises:
        LampbenchError: the batch was a single sequence (of `tokens` tokens) already.
    """
    if not isinstance(error, torch.OutOfMemoryError) and "out of memory" not in str(error):
        raise error
    if size == 1:
        raise LampbenchError(
            f"the device's memory does not hold one sequence of {tokens} tokens; choose a smaller "
            "model, --dtype bfloat16 or another --device"
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return size // 2
