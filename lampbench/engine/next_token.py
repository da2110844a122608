"""Choosing the next token: CoPe's equations 1 to 3, repetition penalty, sampling.

All tensors are [rows, vocabulary] in float32 unless a docstring says otherwise, and all logarithms
are natural. "User" is the request's own side (prompt and weights), "base" or "others" are those it
is contrasted with.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lampbench.engine.counter_random import child_keys, uniform_numbers
from lampbench.engine.protocol import Contrast, GenerationSpec, Sampling


def plausible_tokens(log_user: Tensor, tau: float) -> Tensor:
    """Equation 1, V_head: the tokens with p_user >= tau max p_user, as a boolean mask.

    A token that the user's side rules out (p_user = 0) is not among them, whatever `tau` is.
    """
    if tau == 0:
        return log_user > -math.inf
    return log_user >= log_user.amax(dim=-1, keepdim=True) + math.log(tau)


def token_rewards(log_user: Tensor, log_base: Tensor, alpha: float) -> Tensor:
    """Equation 2: r = log p_user - alpha log p_base, of tensors of any shape, in nats."""
    return log_user - alpha * log_base if alpha else log_user


def summed_rewards(log_user: Tensor, log_others: Sequence[Tensor], contrast: Contrast) -> Tensor:
    """Equation 2 with a factor for each side: own log p_user + sum of factor log p_other."""
    total = log_user if contrast.own == 1.0 else contrast.own * log_user
    for (_, factor), log_other in zip(contrast.others, log_others, strict=True):
        total = token_rewards(total, log_other, -factor)
    return total


def contrastive_scores(
    log_user: Tensor, log_others: Sequence[Tensor], contrast: Contrast
) -> Tensor:
    """Reward of each plausible token, minus infinity elsewhere: equation 3 is its argmax.

    With `log_eps` it is the reference code's formula (OPPU_sft+dpo.py:158): p_user is renormalised
    over V_head, eps is added inside both logarithms, and a token outside V_head has p_user = 0
    instead of being impossible.
    """
    head = plausible_tokens(log_user, contrast.tau)
    if contrast.log_eps is None:
        return summed_rewards(log_user, log_others, contrast).masked_fill(~head, -math.inf)
    eps = contrast.log_eps
    kept = log_user.exp() * head
    kept = kept / (kept.sum(dim=-1, keepdim=True) + eps)
    others = [(log_other.exp() + eps).log() for log_other in log_others]
    return summed_rewards((kept + eps).log(), others, contrast)


def penalise(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Apply a repetition penalty (Keskar et al., 2019) to the tokens in the boolean mask `seen`.

    Positive scores are divided by it, negative ones multiplied.
    """
    if penalty == 1.0:
        return scores
    worse = (scores * penalty).where(scores < 0, scores / penalty)
    return worse.where(seen, scores)


def next_scores(
    spec: GenerationSpec, user: Tensor, others: Sequence[Tensor], seen: Tensor
) -> Tensor:
    """Scores whose argmax is the greedy choice (equation 3), from the raw logits of all sides.

    `others` are those of `spec.contrast.others`, none without a contrast. A penalty on logits acts
    on the user's side only: in the base model it would lower p_base, and so reward the repetition.
    """
    if spec.penalty_on == "logits":
        user = penalise(user, seen, spec.repetition_penalty)
    scores = user.log_softmax(dim=-1)
    if spec.contrast is not None:
        logs = [logits.log_softmax(dim=-1) for logits in others]
        scores = contrastive_scores(scores, logs, spec.contrast)
    if spec.penalty_on == "scores":
        scores = penalise(scores, seen, spec.repetition_penalty)
    return scores


def held_open(spec: GenerationSpec, logits: Tensor, ends: Tensor, steps: Tensor) -> Tensor:
    """Raw logits in which stop tokens are impossible for rows with fewer than the spec's least
    number of tokens; `ends` [vocabulary] is true for stop tokens, `steps` [rows] how many tokens
    each row has.
    """
    if not spec.min_new_tokens:
        return logits
    early = (steps < spec.min_new_tokens).unsqueeze(-1)
    return logits.masked_fill(early & ends, -math.inf)


def chosen_rewards(
    spec: GenerationSpec, user: Tensor, others: Sequence[Tensor], chosen: Tensor
) -> Tensor:
    """Equation 2 of the tokens `chosen` [rows], from the raw logits of all sides, as [rows].

    The repetition penalty plays no part in it.
    """
    assert spec.contrast is not None
    log_user, *log_others = (
        logits.log_softmax(dim=-1).gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        for logits in (user, *others)
    )
    return summed_rewards(log_user, log_others, spec.contrast)


def nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """The fewest most probable tokens whose mass reaches `top_p`, as a boolean mask.

    Of equally probable tokens at the edge, all are kept: which of them a sort puts first would
    depend on the device.
    """
    ordered = _descending(probabilities)
    before = ordered.cumsum(dim=-1) - ordered
    last = (before < top_p).sum(dim=-1, keepdim=True) - 1
    return probabilities >= ordered.gather(-1, last)


def sample_tokens(scores: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """Random tokens [rows], from `uniform` numbers in (0, 1), by the Gumbel-max trick.

    Each token has an exponential clock that runs at its probability; the first to ring is chosen. A
    row's draw depends on its own scores and numbers only, and rounding changes it only if two
    clocks almost tie; the inverse of the distribution function has an edge at every token. The
    first clocks to ring have the numbers next to 0, where float32 is finest.
    """
    probabilities = (scores / sampling.temperature).softmax(dim=-1)
    if sampling.top_p < 1.0:
        probabilities = probabilities * nucleus(probabilities, sampling.top_p)
    clocks = uniform.neg().log1p_().neg_()
    return (probabilities / clocks).argmax(dim=-1)


def next_tokens(spec: GenerationSpec, scores: Tensor, seeds: Tensor, steps: Tensor) -> Tensor:
    """The tokens [rows] chosen from `scores`: the best ones, or random ones.

    The random numbers depend on `seeds` [rows] of the answers and their `steps`, counted from 0:
    how many tokens each already has.
    """
    if spec.sampling is None:
        return _best(scores)
    uniform = uniform_numbers(child_keys(seeds, steps), scores.shape[-1])
    return sample_tokens(scores, spec.sampling, uniform)


def _best(scores: Tensor) -> Tensor:
    """The first of each row's highest scores; on a CPU numpy finds it ten times faster."""
    if scores.device.type != "cpu":
        return scores.argmax(dim=-1)
    return torch.from_numpy(scores.numpy().argmax(axis=-1))


def _descending(probabilities: Tensor) -> Tensor:
    """Each row in descending order; on a CPU numpy sorts five times faster than torch."""
    if probabilities.device.type != "cpu":
        return probabilities.sort(dim=-1, descending=True).values
    return torch.from_numpy(np.sort(-probabilities.numpy(), axis=-1)).neg_()
