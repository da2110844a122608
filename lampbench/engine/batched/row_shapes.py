"""Shapes under which a row's numbers do not depend on the rows beside it, in any precision.

How a product or a sum rounds depends on the shape of its tensors. With `batch_invariant`,

- sequences share a pass if they have the same padded length and as many branches (one or several);
- rows and labels are padded to a multiple of 16, so that no kernel for few rows is used;
- a decoding step attends in blocks of 128 keys, which are added up one after the other. Blocks
  behind a row's last token add exactly zero (`step_attention`).

Then every product of a row has a shape of its own choice, but for the number of rows. Processors
tested so far round a row alike whatever that number is; `require_row_products` finds out.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.lora_init import OTHER_TOWERS
from lampbench.util.errors import LampbenchError

ROWS = 16
"""Rows of a product are a multiple of it, and so are the tokens of a row."""
KEYS = 128
"""Keys that a row of a decoding step attends to at once."""

_COUNTS = (16, 32, 48, 80, 128, 208)  # rows of the products that are tried
_MOST = 1024
_WIDEST = 1 << 24  # numbers of a result: a large vocabulary is tried with fewer rows


def padded(count: int, multiple: int = ROWS) -> int:
    """The least multiple that is not below `count`."""
    return -(-count // multiple) * multiple


def require_row_products(model: Any, attention: bool) -> None:
    """Make sure that a row of a product does not depend on the other rows, nor on their number.

    `attention` says whether the model attends as `step_attention` does.

    Raises:
        LampbenchError: it does on this device, or the model attends in another way.
    """
    if model.device.type != "cpu":
        raise _refused(f"it needs --device cpu, and the device is {model.device}")
    if not attention:
        kind = model.config.get_text_config()._attn_implementation
        raise _refused(f"it needs a model with sdpa attention, and this one's is {kind}")
    experts = [name for name, values in model.named_parameters() if values.dim() == 3]
    if experts := [name for name in experts if not OTHER_TOWERS.search(name)]:
        raise _refused(f"an expert's product ({experts[0]}) has as many rows as tokens choose it")
    seen = set()
    for name, layer in model.named_modules():
        if hasattr(layer, "in_features"):
            shape = layer.in_features, layer.out_features
            if shape not in seen and not _rows_alone(layer, model.dtype):
                raise _refused(
                    f"how this processor rounds a product of layer {name} in {model.dtype} depends "
                    "on its number of rows",
                    "" if model.dtype == torch.float32 else "use --dtype float32, or ",
                )
            seen.add(shape)


def _rows_alone(layer: Any, dtype: torch.dtype) -> bool:
    """Whether a layer's outputs, and the gradients of its inputs, are those of fewer rows."""
    rows = max(_COUNTS[-1], min(_MOST, _WIDEST // layer.out_features // ROWS * ROWS))
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(rows, layer.in_features, generator=draw).to(dtype)
    slopes = torch.randn(rows, layer.out_features, generator=draw).to(dtype)
    every = list(_both_ways(layer, inputs, slopes))
    begin = 0
    for count in _COUNTS:
        some = slice(begin, begin + count)
        found = _both_ways(layer, inputs[some], slopes[some])
        if not all(torch.equal(a[some], b) for a, b in zip(every, found, strict=True)):
            return False
        begin = (begin + count) % (rows - _COUNTS[-1] + 1)
    return True


def _both_ways(layer: Any, inputs: Tensor, slopes: Tensor) -> Iterator[Tensor]:
    inputs = inputs.detach().requires_grad_(True)
    output = layer(inputs)
    yield output.detach()
    yield torch.autograd.grad(output, inputs, slopes)[0]


def _refused(cause: str, instead: str = "") -> LampbenchError:
    return LampbenchError(f"--engine-arg batch_invariant=true: {cause}; {instead}leave it out")
