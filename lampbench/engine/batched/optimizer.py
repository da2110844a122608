"""AdamW for stacked adapters, each with its own gradient norm, learning rate and step count."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lampbench.engine.protocol import OptimSpec

_BETAS = (0.9, 0.999)
_EPS = 1e-8


class StackedAdamW:
    """torch's AdamW and `clip_grad_norm_`, for each adapter of a stack [slots, size] on its own.

    `values` are the adapters and `gradients` their gradients. An adapter that takes no step keeps
    its moments and does not decay. With `one_by_one`, each adapter is computed on its own: at the
    end of a tensor a processor may round in another way, and where that is depends on the others.
    """

    def __init__(self, values: Tensor, gradients: Tensor, one_by_one: bool = False) -> None:
        self._one_by_one = one_by_one
        self.values, self.gradients = values, gradients
        self.first, self.second = torch.zeros_like(values), torch.zeros_like(values)

    def clip(self, slots: Tensor, limits: Sequence[float]) -> Tensor:
        """Scale gradients down to the norm `limits`; returns their norms [slots] before that."""
        if self._one_by_one and len(slots) > 1:
            each = zip(slots.unsqueeze(-1), limits, strict=True)
            return torch.cat([self.clip(slot, [limit]) for slot, limit in each])
        norms: Tensor = torch.linalg.vector_norm(self.gradients[slots], dim=1)
        limit = norms.new_tensor(limits)
        self.gradients[slots] *= (limit / (norms + 1e-6)).clamp(max=1.0).unsqueeze(-1)
        return norms

    def step(
        self,
        slots: Tensor,
        rates: Sequence[float],
        steps: Sequence[int],
        specs: Sequence[OptimSpec],
    ) -> None:
        """One step of the adapters in `slots`, with their learning rates; `steps` count from 1."""
        if self._one_by_one and len(slots) > 1:
            for n, slot in enumerate(slots.unsqueeze(-1)):
                self.step(slot, rates[n : n + 1], steps[n : n + 1], specs[n : n + 1])
            return
        rate, count, decay = (
            torch.tensor(each, dtype=torch.float64).unsqueeze(-1)
            for each in (rates, steps, [spec.weight_decay for spec in specs])
        )
        correction = [1 - beta**count for beta in _BETAS]
        shrink, size, root = (
            each.to(self.values)
            for each in (1 - rate * decay, rate / correction[0], correction[1].sqrt())
        )
        gradient = self.gradients[slots]
        first = self.first[slots].lerp_(gradient, 1 - _BETAS[0])
        second = (
            self.second[slots].mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
        )
        self.first[slots], self.second[slots] = first, second
        denominator = (second.sqrt() / root).add_(_EPS)
        self.values[slots] = self.values[slots] * shrink - size * (first / denominator)
