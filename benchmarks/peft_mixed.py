"""PEFT's own way to serve many adapters: mixed batches, with one of `adapter_names` per row.

The batch is static and padded on the left, with transformers' cache; for contrastive decoding its
second half is the base model's rows (`__base__`). The next token is chosen by the same functions as
ours, so that the answers can be compared.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.flush_denormals import flush_denormals
from lampbench.engine.next_token import next_scores, next_tokens
from lampbench.engine.protocol import GenerateRequest
from lampbench.util.hashing import seed_from


class PeftMixed:
    """Decodes with a PEFT model that holds every user's adapter; TAM is merged into it."""

    def __init__(self, engine: Any, tam: Any, users: Sequence[Any]) -> None:
        from peft import PeftModel

        flush_denormals()
        self._encoder = engine._encoder
        self._plain = engine._pristine  # never changed: a copy would only take memory
        merged = PeftModel.from_pretrained(copy.deepcopy(engine._pristine), str(tam))
        model = merged.merge_and_unload()
        self._model = PeftModel.from_pretrained(model, str(users[0]), adapter_name="0")
        for number, user in enumerate(users[1:], start=1):
            self._model.load_adapter(str(user), adapter_name=str(number))
        self._model.eval()
        self._names = {user: str(number) for number, user in enumerate(users)}
        self._device = engine.device

    @torch.inference_mode()
    def answer(self, requests: Sequence[GenerateRequest]) -> dict[tuple[str, int], tuple[int, ...]]:
        """Token ids by request and sample; all in one batch, until the token budget is used up."""
        from transformers import DynamicCache

        spec = requests[0].spec
        rows = [(request, n) for request in requests for n in range(request.samples)]
        prompts = [self._encoder.encode_prompt(r.id, r.prompt, 10**6).ids for r, _ in rows]
        longest = max(map(len, prompts))
        tokens = torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids in prompts])
        mask = torch.tensor([[0] * (longest - len(i)) + [1] * len(i) for i in prompts])
        tokens, mask = tokens.to(self._device), mask.to(self._device)
        names = [self._names[r.weights[-1]] if r.weights else "__base__" for r, _ in rows]
        if spec.contrast:
            names += ["__base__"] * len(rows)
            tokens, mask = tokens.repeat(2, 1), mask.repeat(2, 1)
        model: Any = self._model
        options: dict[str, Any] = {"adapter_names": names}
        if set(names) == {"__base__"}:
            model, options = self._plain, {}
        seen = self._seen(tokens[: len(rows)], mask[: len(rows)])
        seeds = [seed_from(request.seed, n) for request, n in rows]
        random = torch.tensor(seeds, device=self._device)
        cache = DynamicCache(config=self._plain.config)
        answers = []
        for step in range(spec.max_new_tokens):
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
            logits = model(
                input_ids=tokens, attention_mask=mask, position_ids=positions,
                past_key_values=cache, use_cache=True, logits_to_keep=1, **options,
            ).logits[:, -1].float()  # fmt: skip
            base = [logits[len(rows) :]] if spec.contrast else []
            scores = next_scores(spec, logits[: len(rows)], base, seen)
            chosen = next_tokens(spec, scores, random, torch.tensor(step))
            seen.scatter_(1, chosen.unsqueeze(-1), True)
            answers.append(chosen)
            tokens = chosen.repeat(2 if spec.contrast else 1).unsqueeze(-1)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
        table = torch.stack(answers, dim=1).tolist()
        return {(r.id, n): tuple(ids) for (r, n), ids in zip(rows, table, strict=True)}

    def _seen(self, tokens: Tensor, mask: Tensor) -> Tensor:
        size = len(tokens), self._plain.config.vocab_size
        counts = torch.zeros(size, device=self._device).scatter_add_(1, tokens, mask.float())
        return counts > 0
