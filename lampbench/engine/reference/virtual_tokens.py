"""Prefixes and soft prompts of PEFT, in front of whatever the model reads."""

from typing import Any

import torch
from torch import Tensor


class VirtualTokens(torch.nn.Module):
    """A model that reads the virtual tokens of `tuned` (a PeftModel around `plain`) first.

    They fill the cache of keys and values before the first real token, so that the logits are those
    of the real tokens alone, in training and with a cache alike.
    """

    def __init__(self, tuned: Any, plain: Any) -> None:
        super().__init__()
        self.tuned = tuned
        self.plain = plain
        self.config = plain.config

    def forward(
        self, input_ids: Tensor, past_key_values: Any = None, use_cache: bool = True
    ) -> Any:
        """As a model of transformers; without `past_key_values` the tokens are all there are."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self.config) if past_key_values is None else past_key_values
        if cache.get_seq_length() == 0:
            self._fill(cache)
        return self.plain(input_ids=input_ids, past_key_values=cache, use_cache=True)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = self.plain.device
        return found

    def generate(self, **options: Any) -> Any:
        """As a model of transformers, by PEFT, which puts the virtual tokens in front itself."""
        return self.tuned.generate(**options)

    def unload(self) -> Any:
        """The model without them."""
        return self.plain

    def _fill(self, cache: Any) -> None:
        config = self.tuned.active_peft_config
        encoder = self.tuned.prompt_encoder[self.tuned.active_adapter]
        vectors = encoder.embedding.weight.to(self.plain.dtype)
        if config.peft_type == "PROMPT_TUNING":
            self.plain(inputs_embeds=vectors.unsqueeze(0), past_key_values=cache, use_cache=True)
            return
        heads = config.num_attention_heads
        width = config.token_dim // heads
        # [tokens, layers * 2 * heads * width] in PEFT's order
        shaped = vectors.view(1, -1, config.num_layers * 2, heads, width).permute(2, 0, 3, 1, 4)
        for layer in range(config.num_layers):
            cache.update(shaped[2 * layer], shaped[2 * layer + 1], layer)
