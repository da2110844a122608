"""Equation 6: direct preference optimisation against a given reference model."""

from torch import Tensor
from torch.nn.functional import logsigmoid


def dpo_loss(policy: Tensor, reference: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Losses [pairs] and margins [pairs] of equation 6.

    `policy` and `reference` are [pairs, 2]: the summed log-probabilities of the response tokens, of
    the chosen and of the rejected response. With r = policy - reference (equation 2, alpha = 1),
    the margin is beta (r(chosen) - r(rejected)) and the loss is -log sigmoid(margin).
    """
    rewards = policy - reference
    margins = beta * (rewards[:, 0] - rewards[:, 1])
    return -logsigmoid(margins), margins
