"""The stacked LoRA: the adapters of all users of a batch in one tensor per layer.

A batch goes through the shared, frozen linear layers once. Then the low-rank product of each row's
own adapter is added to the output, for all rows in two batched matrix products. So a forward pass
costs the same whether its rows belong to one user or to a hundred (PEFT's mixed batches loop over
the users in every layer).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from lampbench.engine.batched.adapter_layout import ScaledAdapters
from lampbench.engine.lora_dropout import LoraDropout


@dataclass(frozen=True)
class RowAdapters:
    """Which rows of a batch get which adapters of the stack.

    Rows 0, `stride`, 2 `stride`, ... get one, the others none. `indices` are these rows' adapters
    in the stack; None stands for 0, 1, 2, ... A stack of one adapter serves all rows. Products are
    multiplied by `factor`; in training, `dropout` acts on the adapters' input.
    """

    stride: int = 1
    indices: Tensor | None = None
    factor: float = 1.0
    dropout: LoraDropout | None = None


class _OrderedRows(torch.autograd.Function):
    """Adapters of rows, whose gradients are added one by one to `grad` of the stack.

    A sum of rows that is added to it would round in another way when they come in several passes.
    """

    @staticmethod
    def forward(ctx: Any, stack: Tensor, indices: Tensor) -> Tensor:
        """Adapters [rows, ...] of a stack [adapters, ...], a leaf with `grad`."""
        ctx.stack, ctx.indices = stack, indices.tolist()
        return stack.index_select(0, indices)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[None, None]:
        """Add up the gradients [rows, ...], in the order of the rows."""
        for index, slope in zip(ctx.indices, slopes[0], strict=True):
            ctx.stack.grad[index] += slope
        return None, None


_ordered_rows: Callable[[Tensor, Tensor], Tensor] = _OrderedRows.apply


class StackedLora:
    """Hooks on a model's linear layers that add the product of each row's own adapter.

    Nothing is added while no adapters are set; the layers themselves are not changed. `rows` says
    which rows of the next forward pass get which adapters; `shared_changes` counts how often other
    shared adapters were set. With `batch_invariant`, no row's product or gradient depends on the
    other rows.
    """

    def __init__(self, model: Any, batch_invariant: bool = False) -> None:
        self._model, self._batch_invariant = model, batch_invariant
        self._hooked: set[str] = set()
        self._shared: dict[str, list[tuple[Tensor, Tensor]]] = {}
        self._own: Mapping[str, tuple[Tensor, Tensor]] = {}
        self.rows = RowAdapters()
        self.shared_changes = 0

    def share(self, adapters: ScaledAdapters) -> None:
        """Let these adapters, and no others, act on every row from now on."""
        self._shared = {}
        self.shared_changes += 1
        for matrices, factors in adapters:
            for name, (first, second) in matrices.items():
                weight = self._hook(name).weight
                options = {"device": weight.device, "dtype": _compute_dtype(weight)}
                pair = first.to(**options), (second * factors[name]).to(**options)
                self._shared.setdefault(name, []).append(pair)

    @contextmanager
    def using(self, stack: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
        """Inside, rows get adapters of this stack (`AdapterLayout.views`), as `rows` says."""
        for name in stack:
            self._hook(name)
        before, self._own = self._own, stack
        try:
            yield
        finally:
            self._own = before

    def _hook(self, name: str) -> Any:
        layer = self._model.get_submodule(name)
        if name not in self._hooked:
            self._hooked.add(name)
            layer.register_forward_hook(
                lambda _, inputs, output: self._add(name, inputs[0], output)
            )
        return layer

    def _add(self, name: str, inputs: Tensor, output: Tensor) -> Tensor:
        for first, second in self._shared.get(name, ()):
            output = output + linear(linear(inputs.to(first.dtype), first), second).to(output.dtype)
        if name not in self._own:
            return output
        first, second = self._own[name]
        rows = self.rows
        given = inputs[:: rows.stride].to(first.dtype)
        factor = rows.factor
        if rows.dropout is not None:
            given = rows.dropout(given, name)
            factor *= rows.dropout.scale
        if len(first) == 1 and not self._batch_invariant:
            first, second = (each.expand(len(given), -1, -1) for each in (first, second))
        elif rows.indices is None:
            first, second = first[: len(given)], second[: len(given)]
        elif self._batch_invariant and torch.is_grad_enabled():
            first, second = (_ordered_rows(each, rows.indices) for each in (first, second))
        else:
            first, second = (each.index_select(0, rows.indices) for each in (first, second))
        count = len(given)
        if self._batch_invariant and count == 1:  # a single product may go to another kernel
            given, first, second = (torch.cat([each, each]) for each in (given, first, second))
        low = torch.bmm(given, first.mT)
        if factor != 1.0:
            low = low * factor
        added = torch.bmm(low, second)[:count]
        if torch.is_grad_enabled():
            return output + added.to(output.dtype)
        output[:: rows.stride].add_(added)  # `+=` would also copy the sum onto itself
        return output


def _compute_dtype(weight: Tensor) -> torch.dtype:
    """Precision in which a shared adapter acts on a layer.

    It is the layer's own, or float32 for quantised weights, which are not floating-point.
    """
    return weight.dtype if weight.is_floating_point() else torch.float32
