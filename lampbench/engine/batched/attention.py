"""Attention for decoding on a processor: one query a row, over many rows' caches.

torch's fused kernel walks through the rows one by one there; two batched matrix products take
half the time (benchmarks/README.md). Everything else stays with transformers' own.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "lampbench"


def install(model: Any) -> None:
    """Let a model on the processor decode this way, if it uses the fused kernel at all (models
    that need more than softmax of products do not).
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
    """Attention output [rows, queries, heads, width]; arguments as transformers gives them.

    `query` is [rows, heads, queries, width], `key` and `value` have as many or fewer heads, and
    `attention_mask` [rows, 1, queries, keys] is true where a query may look.
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
