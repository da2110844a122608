"""What a model's passes are like while adapters are trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lampbench.engine.quiet_libraries import quiet_libraries

_LARGE = 1_000_000_000  # parameters of a model whose activations are recomputed


@contextmanager
def training_mode(model: Any) -> Iterator[None]:
    """Inside, kernels are deterministic where the device has others too.

    A large model recomputes its activations in the backward pass: they, not its weights, would fill
    the memory.
    """
    recompute = sum(parameter.numel() for parameter in model.parameters()) > _LARGE
    strict = torch.are_deterministic_algorithms_enabled()
    with quiet_libraries():
        if recompute:
            _recompute(model, "enable")
            for module in model.modules():
                # transformers recomputes in this mode alone, in which dropout would act below
                module.training = hasattr(module, "gradient_checkpointing")
        if model.device.type == "cuda" and not strict:
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            model.eval()
            if recompute:
                _recompute(model, "disable")
            if model.device.type == "cuda" and not strict:
                torch.use_deterministic_algorithms(False)


def _recompute(model: Any, switch: str) -> None:
    """Enable or disable it, under its new name in transformers or the old one."""
    new = getattr(model, f"activation_checkpointing_{switch}", None)
    (new or getattr(model, f"gradient_checkpointing_{switch}"))()
