"""Choosing the next token: CoPe's equations 1 to 3, and what surrounds them.

All tensors are [rows, vocabulary] in float32 and all logarithms natural.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lampbench.engine.protocol import Contrast, GenerationSpec, Sampling


def plausible(log_user: Tensor, tau: float) -> Tensor:
    """Equation 1, V_head: the tokens with p_user >= tau * max p_user, as a mask."""
    floor = log_user.max(dim=-1, keepdim=True).values
    return log_user >= floor + (math.log(tau) if tau > 0 else -math.inf)


def reward(log_user: Tensor, log_base: Tensor, alpha: float) -> Tensor:
    """Equation 2, r: log p_user - alpha log p_base."""
    return log_user - alpha * log_base if alpha else log_user


def contrastive_scores(log_user: Tensor, log_base: Tensor, contrast: Contrast) -> Tensor:
    """The reward of every plausible token, minus infinity elsewhere: equation 3 is its argmax.

    With `log_eps` as in the reference code: p_user is renormalised over V_head, eps is added
    inside both logarithms, and a token outside V_head counts as p_user = 0, not as impossible.
    """
    head = plausible(log_user, contrast.tau)
    if contrast.log_eps is None:
        return reward(log_user, log_base, contrast.alpha).masked_fill(~head, -math.inf)
    eps = contrast.log_eps
    kept = log_user.exp() * head
    kept = kept / (kept.sum(dim=-1, keepdim=True) + eps)
    return reward((kept + eps).log(), (log_base.exp() + eps).log(), contrast.alpha)


def penalise(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Repetition penalty (Keskar et al., 2019): scores of the tokens in the mask `seen`, divided
    where positive, multiplied where negative.
    """
    if penalty == 1.0:
        return scores
    worse = (scores * penalty).where(scores < 0, scores / penalty)
    return worse.where(seen, scores)


def next_scores(spec: GenerationSpec, user: Tensor, base: Tensor | None, seen: Tensor) -> Tensor:
    """Scores whose argmax is the greedy choice (equation 3), from the raw logits of both models.

    `base` is given exactly when `spec.contrast` is. A penalty on logits acts on the user's model
    alone: in the base model it would lower p_base and so reward the very repetition.
    """
    if spec.penalty_on == "logits":
        user = penalise(user, seen, spec.repetition_penalty)
    scores = user.log_softmax(dim=-1)
    if spec.contrast is not None:
        assert base is not None
        scores = contrastive_scores(scores, base.log_softmax(dim=-1), spec.contrast)
    if spec.penalty_on == "scores":
        scores = penalise(scores, seen, spec.repetition_penalty)
    return scores


def rewards_of(spec: GenerationSpec, user: Tensor, base: Tensor, chosen: Tensor) -> Tensor:
    """Equation 2 for the tokens `chosen` [rows], from the raw logits of both models: how much more
    the user's model likes each than `alpha` times the base model does. No penalty takes part.
    """
    assert spec.contrast is not None
    log_user, log_base = (
        logits.log_softmax(dim=-1).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        for logits in (user, base)
    )
    return reward(log_user, log_base, spec.contrast.alpha)


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The fewest most probable tokens whose mass reaches `top_p`, as a mask.

    Of equally probable tokens at the edge, all are in: which of them a sort puts first would
    depend on the device.
    """
    ordered = _descending(probabilities)
    before = ordered.cumsum(dim=-1) - ordered
    last = (before < top_p).sum(dim=-1, keepdim=True) - 1
    return probabilities >= ordered.gather(-1, last)


def draw(scores: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Sampled tokens [rows], from `uniform` [rows, vocabulary] in [0, 1).

    The first of exponential clocks that run at the tokens' probabilities (the Gumbel-max trick).
    A row's draw depends on its own scores and its own numbers, and rounding changes it only where
    two clocks all but tie; the inverse of the distribution function has an edge at every token.
    """
    probabilities = (scores / sampling.temperature).softmax(dim=-1)
    if sampling.top_p < 1.0:
        probabilities = probabilities * nucleus(probabilities, sampling.top_p)
    clocks = uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log().neg_()
    return (probabilities / clocks).argmax(dim=-1)


def uniforms(generators: Sequence[torch.Generator], scores: Tensor) -> Tensor:
    """Numbers in [0, 1) like `scores` [rows, vocabulary], each row's from its own generator."""
    drawn = torch.empty_like(scores)
    for row, generator in zip(drawn, generators, strict=True):
        row.uniform_(generator=generator)
    return drawn


def _descending(probabilities: Tensor) -> Tensor:
    """Each row sorted; on the processor numpy does it five times faster than torch."""
    if probabilities.device.type != "cpu":
        return probabilities.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(-probabilities.numpy(), axis=-1)).neg_()
