"""How much goes into one pass: fixed sizes measured to be fast, or what fits the free memory."""

from dataclasses import dataclass
from typing import Any

import torch

from lampbench.engine.batched.packing import PassLimits
from lampbench.engine.device_memory import free_memory

# A CPU is fastest while a pass stays in its caches (benchmarks/README.md), a GPU while it is full.
# Logits, in float32 the largest activations, get a limit of their own.
_CPU_TOKENS, _GPU_TOKENS = 1024, 16384
_CPU_LOGITS, _GPU_LOGITS = 1 << 24, 1 << 28
_CPU_ROWS, _GPU_ROWS = 128, 512
_TRAINING_SLOTS = 64
_TRAINING_BYTES = 4 * 4  # per number: value, gradient, two moments, in float32


@dataclass(frozen=True, slots=True)
class BatchPlanner:
    """Batch sizes for one model on its device; `max_rows` bounds the rows of a decoding step."""

    model: Any
    max_rows: int | None = None

    @property
    def pass_limits(self) -> PassLimits:
        """Limits of a pass over prompts or examples."""
        small = self.model.device.type == "cpu"
        vocabulary = self.model.config.get_text_config().vocab_size
        logits = _CPU_LOGITS if small else _GPU_LOGITS
        return PassLimits(_CPU_TOKENS if small else _GPU_TOKENS, max(1, logits // vocabulary))

    @property
    def bounds(self) -> dict[str, int]:
        """The sizes that no pass exceeds, whatever the free memory, by name."""
        limits = self.pass_limits
        return {
            "decoding_rows": self._most_rows,
            "pass_tokens": limits.tokens,
            "pass_labels": limits.labels,
            "adapters_in_training": _TRAINING_SLOTS,
        }

    def decoding_slots(
        self, answers: int, rows_per_slot: int, tokens: int, adapter_size: int
    ) -> int:
        """How many of `answers` are decoded at once.

        Each takes `rows_per_slot` rows of up to `tokens` tokens, and `adapter_size` numbers for its
        own adapters.
        """
        config = self.model.config.get_text_config()
        width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        cache = 2 * config.num_hidden_layers * heads * width * tokens * self._itemsize
        scores = 16 * config.vocab_size
        each = rows_per_slot * (cache + scores) + adapter_size * self._itemsize + config.vocab_size
        fitting = free_memory(self.model.device) // int(each)
        return max(1, min(answers, self._most_rows // rows_per_slot, fitting))

    def training_slots(self, jobs: int, adapter_size: int) -> int:
        """How many of `jobs`, with adapters of `adapter_size` numbers, are trained at once."""
        room = free_memory(self.model.device) // 4  # activations need the rest
        return max(1, min(jobs, _TRAINING_SLOTS, room // (_TRAINING_BYTES * adapter_size)))

    @property
    def _most_rows(self) -> int:
        return self.max_rows or (_CPU_ROWS if self.model.device.type == "cpu" else _GPU_ROWS)

    @property
    def _itemsize(self) -> int:
        return int(torch.empty(0, dtype=self.model.dtype).element_size())
