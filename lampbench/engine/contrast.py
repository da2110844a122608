"""Choosing the next token: CoPe's equations 1 to 3, and what surrounds them.

All tensors are [rows, vocabulary] in float32; log-probabilities are natural logarithms.
"""

import math
from typing import TYPE_CHECKING

from lampbench.engine.protocol import Contrast, GenerationSpec, Sampling

if TYPE_CHECKING:
    from torch import Tensor


def plausible(log_user: "Tensor", tau: float) -> "Tensor":
    """Equation 1: the tokens with p_user >= tau * max p_user, as a mask."""
    floor = log_user.max(dim=-1, keepdim=True).values
    return log_user >= floor + (math.log(tau) if tau > 0 else -math.inf)


def reward(log_user: "Tensor", log_base: "Tensor", alpha: float) -> "Tensor":
    """Equation 2: log p_user - alpha log p_base."""
    return log_user - alpha * log_base if alpha else log_user


def contrastive_scores(log_user: "Tensor", log_base: "Tensor", contrast: Contrast) -> "Tensor":
    """The reward of every plausible token; outside, minus infinity.

    With `log_eps` as in the reference code: p_user is renormalised over the plausible set, eps is
    added inside both logarithms, and implausible tokens count as p_user = 0.
    """
    head = plausible(log_user, contrast.tau)
    if contrast.log_eps is None:
        return reward(log_user, log_base, contrast.alpha).masked_fill(~head, -math.inf)
    kept = log_user.masked_fill(~head, -math.inf).softmax(dim=-1)
    eps = contrast.log_eps
    return (kept + eps).log() - contrast.alpha * (log_base.exp() + eps).log()


def penalise(scores: "Tensor", seen: "Tensor", penalty: float) -> "Tensor":
    """Repetition penalty (Keskar et al., 2019): seen tokens' scores, divided where positive and
    multiplied where negative. `seen` is a mask.
    """
    if penalty == 1.0:
        return scores
    worse = scores.where(scores < 0, scores / penalty).where(scores >= 0, scores * penalty)
    return worse.where(seen, scores)


def next_scores(
    spec: GenerationSpec, user: "Tensor", base: "Tensor | None", seen: "Tensor"
) -> "Tensor":
    """Scores whose argmax is the greedy choice (equation 3), from the raw logits of both models.

    `base` is given exactly when `spec.contrast` is.
    """
    if spec.penalty_on == "logits":
        user = penalise(user, seen, spec.repetition_penalty)
    scores = user.log_softmax(dim=-1)
    if spec.contrast is not None and base is not None:
        scores = contrastive_scores(scores, base.log_softmax(dim=-1), spec.contrast)
    if spec.penalty_on == "scores":
        scores = penalise(scores, seen, spec.repetition_penalty)
    return scores


def draw(scores: "Tensor", sampling: Sampling, uniform: "Tensor") -> "Tensor":
    """Sampled tokens [rows]: inverse distribution function at `uniform` [rows] in [0, 1).

    A row's draw depends on its own scores and its own number, on nothing else in the batch.
    `top_p` keeps the fewest most probable tokens whose mass reaches it.
    """
    probabilities = (scores / sampling.temperature).softmax(dim=-1).double()
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    mass = ordered.cumsum(dim=-1)
    if sampling.top_p < 1.0:
        ordered = ordered.masked_fill(mass - ordered >= sampling.top_p, 0.0)
        mass = ordered.cumsum(dim=-1)
    target = uniform.double().unsqueeze(-1) * mass[:, -1:]
    place = (mass <= target).sum(dim=-1, keepdim=True).clamp(max=mass.shape[-1] - 1)
    return tokens.gather(-1, place).squeeze(-1)
