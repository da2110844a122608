"""Attention of a decoding step: one new token per row, over the caches of many rows.

All other cases are left to transformers. For this one its call is slow on both kinds of device:

- a CPU's fused kernel goes through the rows one by one; two batched matrix products take half the
  time (benchmarks/README.md).
- on a GPU, heads that share keys and values get copies of them, since the fused kernel with a mask
  knows no sharing. Heads that share are taken here for as many queries of one head: they look at
  the same keys.
- every row attends to as many tokens as the longest one has. Here groups of rows (`step_shape`)
  attend to as many as the longest of the group.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "lampbench"
DEVICES = ("cpu", "cuda")
"""Kinds of devices for which this is known to be right, and to be worth it."""

RowGroups = Sequence[tuple[int, int]]
"""Groups of neighbouring rows: where each ends, and how many tokens its rows attend to."""

_groups: ContextVar[RowGroups] = ContextVar("groups", default=())
_block: ContextVar[int] = ContextVar("block", default=0)


def install(model: Any) -> None:
    """Use this attention in a model on one of `DEVICES`, if it would use the fused kernel.

    Models that need more than the softmax of products do not use that kernel, and stay as they are.
    """
    config = model.config.get_text_config()
    if model.device.type in DEVICES and config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def uses_step_attention(model: Any) -> bool:
    """Whether a model uses this attention."""
    return bool(model.config.get_text_config()._attn_implementation == NAME)


@contextmanager
def row_groups(groups: RowGroups, block: int = 0) -> Iterator[None]:
    """Inside, the rows of a decoding step attend in these groups; () is one group of all.

    With `block`, all rows attend to as many keys, a multiple of it, in blocks of that size.
    """
    tokens = _groups.set(groups), _block.set(block)
    try:
        yield
    finally:
        _groups.reset(tokens[0])
        _block.reset(tokens[1])


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention output [rows, queries, heads, width]; the arguments are those of transformers.

    `query` is [rows, heads, queries, width]; `key` and `value` [rows, heads, keys, width] have as
    many or fewer heads; `attention_mask` [rows, 1, queries, keys] is 0 where a query may look, else
    minus infinity.
    """
    rows, heads, queries, width = query.shape
    if queries > 1 or attention_mask is None or torch.is_grad_enabled():
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return output, None
    grouped = query.view(rows, key.shape[1], -1, width)
    scale = width**-0.5 if scaling is None else scaling
    if size := _block.get():
        output = by_blocks(grouped, key, value, attention_mask, scale, size)
        return output.reshape(rows, 1, heads, width), None
    found, begin = [], 0
    for end, tokens in _groups.get() or [(rows, key.shape[2])]:
        some = slice(begin, end)
        mask = attention_mask[some, ..., :tokens]
        found.append(
            attended(grouped[some], key[some, :, :tokens], value[some, :, :tokens], mask, scale)
        )
        begin = end
    output = found[0] if len(found) == 1 else torch.cat(found)
    return output.reshape(rows, 1, heads, width), None


def attended(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """Output [rows, heads, queries, width] of heads that have keys and values of their own."""
    if query.device.type == "cpu":
        return by_products(query, key, value, mask, scale)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """The same in two batched matrix products."""
    scores = torch.matmul(query * scale, key.mT)
    return torch.matmul(scores.add_(mask).softmax(dim=-1), value)


def by_blocks(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float, size: int
) -> Tensor:
    """The same in blocks of `size` keys, which are added up one after the other in float32.

    A block that a row may not look at adds exactly zero to it, so that a row's output does not
    depend on how many blocks the longest row has. The largest score is that of all blocks.
    """
    query = query * scale
    blocks = [slice(begin, begin + size) for begin in range(0, key.shape[2], size)]
    scores = [
        torch.matmul(query, key[:, :, keys].mT).float().add_(mask[..., keys]) for keys in blocks
    ]
    most = scores[0].amax(dim=-1, keepdim=True)
    for some in scores[1:]:
        most = torch.maximum(most, some.amax(dim=-1, keepdim=True))
    total, output = torch.zeros_like(most), query.new_zeros(query.shape, dtype=torch.float32)
    for keys, some in zip(blocks, scores, strict=True):
        weights = some.sub_(most).exp_()
        total += weights.sum(dim=-1, keepdim=True)
        output += torch.matmul(weights.to(value.dtype), value[:, :, keys])
    return (output / total).to(value.dtype)
