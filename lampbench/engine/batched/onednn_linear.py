"""Products with frozen float32 weights on a CPU: by oneDNN, where it is faster than torch's choice.

torch leaves them to MKL, which on AMD's processors does not use AVX-512: oneDNN, which torch brings
along for other precisions, multiplies twice as fast there (docs/engine.md). Small products stay
with MKL, whose calls cost less.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import linear

_LEAST_ROWS = 8
_LEAST_PRODUCTS = 1 << 20  # multiplications from which a call of oneDNN pays


def install(model: Any) -> None:
    """Let the plain linear layers of a model on a CPU compute with oneDNN, if torch has it."""
    if model.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return
    for layer in model.modules():
        if type(layer) is Linear and layer.weight.dtype == torch.float32:
            layer.__class__ = OneDnnLinear


class OneDnnLinear(Linear):
    """A linear layer with frozen weights in float32, whose input may need a gradient."""

    def forward(self, given: Tensor) -> Tensor:
        """Outputs [..., outputs] of inputs [..., inputs]."""
        rows = given.numel() // self.in_features
        if rows < _LEAST_ROWS or rows * self.weight.numel() < _LEAST_PRODUCTS:
            return linear(given, self.weight, self.bias)
        if torch.is_grad_enabled():
            return _Product.apply(given, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return _product(given, self.weight, self.bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(weight)
        return _product(given, weight, bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = context.saved_tensors
        return _product(gradient, weight.mT, None), None, None


def _product(given: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(given, weight, bias, "none", [], "")
