"""The decoding loop: greedy, sampled and contrastive answers to a batch of prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.adapters import Adapters
from lampbench.engine.contrast import draw, next_scores
from lampbench.engine.protocol import GenerationSpec, Weights
from lampbench.engine.scoring import padded, positions


@dataclass(frozen=True, slots=True)
class Row:
    """One answer to make: prompt token ids, and the seed of its own random numbers."""

    ids: tuple[int, ...]
    seed: int


class Model:
    """One of the (at most two) models that a batch goes through, with its cache.

    Prompts are padded on the left; a position counts a row's own tokens only.
    """

    def __init__(self, model: Any, adapters: Adapters, weights: Weights) -> None:
        self._model = model
        self._adapters = adapters
        self._weights = weights
        self._cache: Any = None

    def logits(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after the last of `tokens` [rows, new]; float32.

        `mask` [rows, all tokens so far] is 0 on padding.
        """
        self._adapters.activate(self._weights)
        output = self._model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions(mask)[:, -tokens.shape[1] :],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = output.past_key_values
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def keep(self, rows: Tensor) -> None:
        """Forget the other rows."""
        self._cache.batch_select_indices(rows)


@torch.inference_mode()
def decode(
    user: Model,
    base: Model | None,
    spec: GenerationSpec,
    rows: Sequence[Row],
    stop: Tensor,
    pad: int,
) -> list[tuple[list[int], bool]]:
    """Answer prompts; for each row the new tokens (without the stop token), and whether the
    budget ended it.

    Both models of a contrastive decoding advance in lock-step on the same tokens.
    """
    device = stop.device
    tokens, mask = padded([row.ids for row in rows], pad, device)
    uniform = _uniforms(rows, spec, device)
    answers: list[list[int]] = [[] for _ in rows]
    clipped = [True] * len(rows)
    alive = torch.arange(len(rows), device=device)
    seen: Tensor | None = None
    for step in range(spec.max_new_tokens):
        own = user.logits(tokens, mask)
        other = base.logits(tokens, mask) if base else None
        if seen is None:
            seen = _seen(tokens, mask, own.shape[-1])
        scores = next_scores(spec, own, other, seen)
        if spec.sampling:
            assert uniform is not None
            chosen = draw(scores, spec.sampling, uniform[alive, step])
        else:
            chosen = scores.argmax(dim=-1)
        ended = torch.isin(chosen, stop)
        for row, token, end in zip(alive.tolist(), chosen.tolist(), ended.tolist(), strict=True):
            if end:
                clipped[row] = False
            else:
                answers[row].append(token)
        if bool(ended.all()):
            break
        seen[torch.arange(len(chosen), device=device), chosen] = True
        if bool(ended.any()):
            going = (~ended).nonzero().squeeze(-1)
            alive, chosen, mask, seen = alive[going], chosen[going], mask[going], seen[going]
            user.keep(going)
            if base:
                base.keep(going)
        tokens = chosen.unsqueeze(-1)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
    return list(zip(answers, clipped, strict=True))


def _seen(tokens: Tensor, mask: Tensor, vocabulary: int) -> Tensor:
    """Which tokens stand in each prompt, padding not counted."""
    seen = torch.zeros(len(tokens), vocabulary, device=tokens.device)
    seen.scatter_add_(1, tokens, mask.float())
    return seen > 0


def _uniforms(rows: Sequence[Row], spec: GenerationSpec, device: torch.device) -> Tensor | None:
    """A number in [0, 1) for each row and step, from the row's own seed."""
    if spec.sampling is None:
        return None
    drawn = [
        torch.rand(spec.max_new_tokens, generator=torch.Generator().manual_seed(row.seed))
        for row in rows
    ]
    return torch.stack(drawn).to(device)
