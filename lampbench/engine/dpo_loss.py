"""Equation 6: direct preference optimisation against a stated reference."""

from typing import TYPE_CHECKING

from torch.nn.functional import logsigmoid

if TYPE_CHECKING:
    from torch import Tensor


def dpo_loss(policy: "Tensor", reference: "Tensor", beta: float) -> "tuple[Tensor, Tensor]":
    """Losses [pairs] and margins [pairs] of equation 6.

    `policy` and `reference` are [pairs, 2]: the sums of the response tokens' log-probabilities of
    the chosen and of the rejected response. With r = policy - reference (equation 2, alpha = 1)
    the margin is beta (r(chosen) - r(rejected)) and the loss -log sigmoid(margin).
    """
    rewards = policy - reference
    margins = beta * (rewards[:, 0] - rewards[:, 1])
    return -logsigmoid(margins), margins
