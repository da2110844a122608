"""Log-probabilities of given responses."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

Ids = Sequence[int]


def padded(sequences: Sequence[Ids], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [rows, longest], padded on the left, and their mask (0 on padding)."""
    longest = max(len(ids) for ids in sequences)
    tokens = torch.tensor([[pad] * (longest - len(ids)) + list(ids) for ids in sequences])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in sequences])
    return tokens.to(device), mask.to(device)


def positions(mask: Tensor) -> Tensor:
    """The place of each token among its row's own, whatever the padding before it."""
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)


def response_logprobs(
    model: Any, prompts: Sequence[Ids], responses: Sequence[Ids], pad: int
) -> list[Tensor]:
    """For each row the natural-log probabilities [len(response)] of its response's tokens.

    Differentiable; float32 whatever the model's precision. Rows end together, so that logits are
    needed only for as many positions as the longest response has.
    """
    sequences = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
    tokens, mask = padded(sequences, pad, model.device)
    keep = max(len(response) for response in responses)
    output = model(
        input_ids=tokens,
        attention_mask=mask,
        position_ids=positions(mask),
        use_cache=False,
        logits_to_keep=keep + 1,
    )
    logits = output.logits[:, :-1].float()
    losses = cross_entropy(
        logits.flatten(0, 1), tokens[:, tokens.shape[1] - keep :].flatten(), reduction="none"
    )
    return [
        row[keep - len(ids) :]
        for row, ids in zip(-losses.view(len(tokens), keep), responses, strict=True)
    ]
