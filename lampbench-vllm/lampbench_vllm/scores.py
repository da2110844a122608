"""Equations 1 to 3 of CoPe (Bu et al., EMNLP 2025) on the logits of two sides.

All tensors are [rows, vocabulary] in float32, settings are [rows, 1], and logarithms are natural.
"""

import torch
from torch import Tensor


def contrastive_scores(
    user: Tensor, base: Tensor, alpha: Tensor, tau: Tensor, log_eps: float | None = None
) -> Tensor:
    """Equation 2 for the tokens of equation 1: log p_user - alpha log p_base where p_user is at
    least tau times its maximum.

    Other tokens have minus infinity. With `log_eps` it is the formula of the paper's released code:
    p_user is renormalised over the plausible tokens and `log_eps` is added inside both logarithms,
    so that no token is impossible.
    """
    log_user, log_base = user.log_softmax(-1), base.log_softmax(-1)
    plausible = log_user >= log_user.max(-1, keepdim=True).values + tau.log()
    plausible &= log_user > -torch.inf
    if log_eps is None:
        return (log_user - alpha * log_base).masked_fill(~plausible, -torch.inf)
    kept = log_user.exp() * plausible
    kept = kept / (kept.sum(-1, keepdim=True) + log_eps)
    return (kept + log_eps).log() - alpha * (log_base.exp() + log_eps).log()
