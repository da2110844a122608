"""Products with frozen weights by oneDNN: numbers, gradients, and which layers get them."""

import pytest
import torch
from torch import nn

from lampbench.engine.batched import onednn_linear
from lampbench.engine.batched.onednn_linear import OneDnnLinear

INPUTS, OUTPUTS = 96, 160

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN"
)


class Model(nn.Module):
    """Linear layers of several kinds."""

    def __init__(self, dtype: torch.dtype = torch.float32, device: str = "cpu") -> None:
        super().__init__()
        self.plain = nn.Linear(INPUTS, OUTPUTS, dtype=dtype, device=device)
        self.special = nn.Bilinear(2, 2, 2)
        self.quantised = type("Linear4bit", (nn.Linear,), {})(INPUTS, OUTPUTS)
        self.requires_grad_(False)


@needs_onednn
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1,), (70,), (3, 7), (64, 1)])
def test_numbers_and_gradients_are_those_of_a_linear_layer(shape, bias):
    draw = torch.Generator().manual_seed(0)
    layer = nn.Linear(INPUTS, OUTPUTS, bias=bias).requires_grad_(False)
    given = torch.randn(*shape, INPUTS, generator=draw, requires_grad=True)
    upstream = torch.randn(*shape, OUTPUTS, generator=draw)
    exact = given.detach().double().requires_grad_()
    expected = nn.functional.linear(
        exact, layer.weight.double(), None if layer.bias is None else layer.bias.double()
    )
    expected.backward(upstream.double())
    layer.__class__ = OneDnnLinear
    found = layer(given)
    found.backward(upstream)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert given.grad is not None
    torch.testing.assert_close(given.grad.double(), exact.grad, rtol=1e-5, atol=1e-5)
    with torch.inference_mode():
        assert torch.equal(layer(given), found)


@needs_onednn
def test_a_gradient_that_is_one_number_everywhere():
    """It has no memory of its own for each number."""
    layer = nn.Linear(INPUTS, OUTPUTS).requires_grad_(False)
    given = torch.randn(2, 64, INPUTS, requires_grad=True)
    layer.__class__ = OneDnnLinear
    layer(given).sum().backward()
    torch.testing.assert_close(given.grad, layer.weight.sum(0).expand_as(given))


@needs_onednn
def test_weights_that_are_trained_stay_with_torch():
    layer = nn.Linear(INPUTS, OUTPUTS)
    layer.__class__ = OneDnnLinear
    layer(torch.ones(64, INPUTS)).sum().backward()
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, torch.full_like(layer.weight, 64))


@needs_onednn
@pytest.mark.parametrize(("rows", "calls"), [(0, 0), (1, 0), (2, 1), (64, 1)])
def test_a_single_row_stays_with_torch(monkeypatch, rows, calls):
    seen = []
    product = onednn_linear.product

    def counted(*given):
        seen.append(given)
        return product(*given)

    monkeypatch.setattr(onednn_linear, "product", counted)
    model = Model()
    onednn_linear.use_onednn(model)
    with torch.inference_mode():
        model.plain(torch.zeros(rows, INPUTS))
    assert len(seen) == calls


@needs_onednn
def test_only_plain_float32_layers_on_a_cpu_are_changed():
    model = Model()
    onednn_linear.use_onednn(model)
    kinds = [type(layer).__name__ for layer in model.children()]
    assert kinds == ["OneDnnLinear", "Bilinear", "Linear4bit"]
    for other in (Model(torch.bfloat16), Model(device="meta")):
        onednn_linear.use_onednn(other)
        assert type(other.plain) is nn.Linear
