"""How much goes into one pass: measured where the device is cached, from free memory elsewhere."""

from dataclasses import dataclass
from typing import Any

import torch

from lampbench.engine.batched.memory import free_bytes
from lampbench.engine.batched.shared_prompts import Budget

# A processor is fastest while a pass stays in its caches (benchmarks/README.md); a GPU while it is
# full. Logits are float32 and the largest activations: they get a bound of their own.
_CPU_TOKENS, _GPU_TOKENS = 1024, 16384
_CPU_LOGITS, _GPU_LOGITS = 1 << 24, 1 << 28
_CPU_ROWS, _GPU_ROWS = 128, 512
_SEATS = 64
_STATES = 4 * 4  # bytes a number in training: value, gradient, two moments, float32


@dataclass(frozen=True, slots=True)
class Planner:
    """Sizes for one model on its device. `rows` bounds the rows of a decoding step."""

    model: Any
    rows: int | None = None

    @property
    def budget(self) -> Budget:
        """Of a pass over prompts or examples."""
        small = self.model.device.type == "cpu"
        vocabulary = self.model.config.get_text_config().vocab_size
        logits = _CPU_LOGITS if small else _GPU_LOGITS
        return Budget(_CPU_TOKENS if small else _GPU_TOKENS, max(1, logits // vocabulary))

    def places(self, asks: int, streams: int, tokens: int, adapter: int) -> int:
        """Sequences that are decoded at once, each of `streams` rows of up to `tokens` tokens and
        with `adapter` numbers of its own.
        """
        config = self.model.config.get_text_config()
        width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        cache = 2 * config.num_hidden_layers * heads * width * tokens * self._itemsize
        scores = 16 * config.vocab_size
        each = streams * (cache + scores) + adapter * self._itemsize + config.vocab_size
        most = self.rows or (_CPU_ROWS if self.model.device.type == "cpu" else _GPU_ROWS)
        fitting = free_bytes(self.model.device) // int(each)
        return max(1, min(asks, most // streams, fitting))

    def seats(self, jobs: int, adapter: int) -> int:
        """Jobs that are trained at once, with adapters of `adapter` numbers."""
        room = free_bytes(self.model.device) // 4  # activations need the rest
        return max(1, min(jobs, _SEATS, room // (_STATES * adapter)))

    @property
    def _itemsize(self) -> int:
        return int(torch.empty(0, dtype=self.model.dtype).element_size())
