"""The decoding loop: greedy, sampled and contrastive answers to a batch of prompts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.contrast import draw, next_scores
from lampbench.engine.protocol import GenerationSpec
from lampbench.engine.scoring import padded, positions


@dataclass(frozen=True, slots=True)
class Row:
    """One answer to make: prompt token ids, and the seed of its own random numbers."""

    ids: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The new tokens, without the one that stopped it; `clipped` when the budget ended it."""

    ids: tuple[int, ...]
    clipped: bool


class Stream:
    """One of the (at most two) models that a batch goes through, with its cache.

    `activate` makes the shared base model answer as this one.
    """

    def __init__(self, model: Any, activate: Callable[[], None]) -> None:
        self._model = model
        self._activate = activate
        self._cache: Any = None

    def logits(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits [rows, vocabulary] after the last of `tokens` [rows, new]; float32.

        `mask` [rows, all tokens so far] is 0 on padding, which stands on the left.
        """
        self._activate()
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

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the cache; a row may be taken more than once."""
        self._cache.batch_select_indices(rows)


@torch.inference_mode()
def decode(
    user: Stream,
    base: Stream | None,
    spec: GenerationSpec,
    rows: Sequence[Row],
    stop: Tensor,
    pad: int,
) -> list[Answer]:
    """Answer prompts, in their order.

    Both models of a contrastive decoding advance in lock-step on the same tokens; `base` is given
    exactly when `spec.contrast` is. A prompt that several rows share is read once; a row that has
    ended leaves the batch.
    """
    device = stop.device
    streams = [user, base] if base else [user]
    prompts = list(dict.fromkeys(row.ids for row in rows))
    tokens, mask = padded(prompts, pad, device)
    logits = [stream.logits(tokens, mask) for stream in streams]
    seen = _seen(tokens, mask, logits[0].shape[-1])
    if len(prompts) < len(rows):
        of_row = torch.tensor([prompts.index(row.ids) for row in rows], device=device)
        mask, seen, logits = mask[of_row], seen[of_row], [each[of_row] for each in logits]
        _select(streams, of_row)
    uniforms = _uniforms(rows, spec, device)
    answers: list[list[int]] = [[] for _ in rows]
    clipped = [True] * len(rows)
    alive = torch.arange(len(rows), device=device)
    for step in range(spec.max_new_tokens):
        scores = next_scores(spec, logits[0], logits[1] if base else None, seen)
        if spec.sampling:
            chosen = draw(scores, spec.sampling, uniforms[alive, step])
        else:
            chosen = scores.argmax(dim=-1)
        going = ~torch.isin(chosen, stop)
        for row, token, goes in zip(alive.tolist(), chosen.tolist(), going.tolist(), strict=True):
            if goes:
                answers[row].append(token)
            else:
                clipped[row] = False
        if step + 1 == spec.max_new_tokens or not going.any():
            break
        if not going.all():
            left = going.nonzero().squeeze(-1)
            alive, chosen, mask, seen = alive[left], chosen[left], mask[left], seen[left]
            _select(streams, left)
        seen.scatter_(1, chosen.unsqueeze(-1), True)
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
        logits = [stream.logits(chosen.unsqueeze(-1), mask) for stream in streams]
    return [Answer(tuple(ids), cut) for ids, cut in zip(answers, clipped, strict=True)]


def _select(streams: Sequence[Stream], rows: Tensor) -> None:
    for stream in streams:
        stream.select(rows)


def _seen(tokens: Tensor, mask: Tensor, vocabulary: int) -> Tensor:
    """Which tokens [rows, vocabulary] stand in each prompt; padding does not count."""
    seen = torch.zeros(len(tokens), vocabulary, device=tokens.device)
    return seen.scatter_add_(1, tokens, mask.float()) > 0


def _uniforms(rows: Sequence[Row], spec: GenerationSpec, device: torch.device) -> Tensor:
    """A number in [0, 1) for each row and step, from the row's own seed."""
    if spec.sampling is None:
        return torch.empty(0, device=device)
    drawn = [
        torch.rand(spec.max_new_tokens, generator=torch.Generator().manual_seed(row.seed))
        for row in rows
    ]
    return torch.stack(drawn).to(device)
