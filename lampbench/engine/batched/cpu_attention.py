"""Faster attention for decoding on a CPU: one new token per row, over the caches of many rows.

torch's fused kernel goes through the rows one by one there; two batched matrix products take half
the time (benchmarks/README.md). All other cases are left to transformers.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "lampbench"


def install(model: Any) -> None:
    """Use this attention in a model on the CPU, if it would use the fused kernel.

    Models that need more than the softmax of products do not use that kernel, and stay as they are.
    """
    config = model.config.get_text_config()
    if model.device.type == "cpu" and config._attn_implementation == "sdpa":
        AttentionInterface.register(_NAME, attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.set_attn_implementation(_NAME)


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
    many or fewer heads; `attention_mask` [rows, 1, queries, keys] is true where a query may look.
    """
    rows, heads, queries, width = query.shape
    if queries > 1 or attention_mask is None or torch.is_grad_enabled():
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return output, None
    grouped = query.view(rows, key.shape[1], -1, width)
    scores = torch.matmul(grouped * (width**-0.5 if scaling is None else scaling), key.mT)
    weights = scores.masked_fill_(~attention_mask, -torch.inf).softmax(dim=-1)
    return torch.matmul(weights, value).view(rows, 1, heads, width), None
