"""Attention masks in the form that a model's layers expect."""

from typing import Any

import torch
from torch import Tensor

from lampbench.engine.batched import step_attention

# A GPU's kernel would copy a mask in every layer whose rows do not begin at multiples of 16 bytes.
_ALIGNED = 8


class AttentionMasks:
    """Turns "which token may attend to which" into the mask argument of one model.

    Models differ in whether all, some or none of their layers see only a window of the last tokens,
    and in the numbers that attention takes: true and false; 0 and the lowest number; or, of torch's
    attention, 0 and minus infinity, which it would otherwise compute in every layer.
    """

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config()
        self._window: int | None = getattr(config, "sliding_window", None)
        if getattr(config, "use_sliding_window", True) is False:
            self._window = None
        self._kinds = set(getattr(config, "layer_types", None) or ())
        kind = config._attn_implementation
        self._dtype = model.dtype
        self._aligned = 1 if model.device.type == "cpu" else _ALIGNED
        self._lowest: float | None = None  # a boolean mask
        if kind == "eager":
            self._lowest = torch.finfo(self._dtype).min
        elif kind == step_attention.NAME:
            self._lowest = -torch.inf

    def __call__(self, allowed: Tensor, query: Tensor, key: Tensor) -> Any:
        """The mask for `allowed` [rows, queries, keys], true where a query may look.

        `query` [rows, queries] and `key` [rows, keys] are token positions, for sliding windows.
        """
        full = allowed.unsqueeze(1)
        if self._window is None:
            return self._cast(full)
        near = query.unsqueeze(-1) - key.unsqueeze(-2) < self._window
        sliding = (allowed & near).unsqueeze(1)
        if "full_attention" in self._kinds and len(self._kinds) > 1:
            return {"full_attention": self._cast(full), "sliding_attention": self._cast(sliding)}
        return self._cast(full if self._kinds == {"full_attention"} else sliding)

    def _cast(self, mask: Tensor) -> Tensor:
        if self._lowest is None:
            return mask
        *others, keys = mask.shape
        room = -(-keys // self._aligned) * self._aligned
        numbers = torch.zeros(*others, room, dtype=self._dtype, device=mask.device)[..., :keys]
        return numbers.masked_fill_(~mask, self._lowest)
