"""Products with frozen float32 weights on a CPU: by oneDNN, where it is faster than torch's choice.

torch leaves them to MKL, which on AMD's processors does not use AVX-512: oneDNN, which torch brings
along for other precisions, multiplies twice as fast there (docs/engine.md). All but a single row go
there, however small: so a row's numbers do not depend on how many others there are. A single row
stays with MKL, whose call costs a quarter.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import linear


def usable(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether products on a device in a precision are left to oneDNN."""
    onednn = torch.backends.mkldnn
    there = onednn.is_available() and onednn.enabled  # type: ignore[no-untyped-call]
    return device.type == "cpu" and dtype == torch.float32 and bool(there)


def use_onednn(model: Any) -> None:
    """Let the plain linear layers of a model compute with oneDNN, where that is usable."""
    for layer in model.modules():
        if type(layer) is Linear and usable(layer.weight.device, layer.weight.dtype):
            layer.__class__ = OneDnnLinear


class OneDnnLinear(Linear):
    """A linear layer with frozen weights in float32, whose input may need a gradient."""

    def forward(self, given: Tensor) -> Tensor:
        """Outputs [..., outputs] of inputs [..., inputs]."""
        biased = self.bias is not None and self.bias.requires_grad
        trained = self.weight.requires_grad or biased
        if given.numel() <= self.in_features or trained:
            return linear(given, self.weight, self.bias)
        if torch.is_grad_enabled():
            found: Tensor = _Product.apply(given, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return found
        return product(given, self.weight, self.bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(weight)
        return product(given, weight, bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = context.saved_tensors
        return product(gradient, weight.mT, None), None, None


def product(given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Outputs [..., outputs] of inputs [..., inputs] and weights [outputs, inputs], by oneDNN."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(given, weight, bias, "none", [], "")
    return found
