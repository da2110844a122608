"""Muon in float32: `torch.optim.Muon` computes in bf16, which CPUs without bf16 units do slowly.

Same update as torch's with `adjust_lr_fn="match_rms_adamw"` (Jordan et al. 2024; the scale of Liu
et al. 2025, "Muon is Scalable for LLM Training", section 2.2), so it can use the rate of AdamW.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """About the nearest semi-orthogonal matrix, by five Newton-Schulz steps; same shape."""
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.size(0) <= matrix.size(1) else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(STEPS):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if matrix.size(0) <= matrix.size(1) else wide.T


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized, with decoupled weight decay; for matrices only."""

    def __init__(
        self,
        parameters: Iterable[torch.Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = torch.lerp(weight.grad, state["momentum"], group["momentum"])
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                scale = 0.2 * math.sqrt(max(weight.shape))
                weight.add_(orthogonal(ahead), alpha=-group["lr"] * scale)
