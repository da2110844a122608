"""Gates on the layers of a LoRA, trained for Per-Pcs (Tan et al., 2024, section 3)."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.adapter_files import write_tensors
from lampbench.util.errors import LampbenchError

_PLACE = "piece_gates"
_LAYERS = "base_model.model."  # what PEFT puts before the names of a model's layers


class GatedModel(torch.nn.Module):
    """`tuned`, a model with a LoRA of PEFT, whose LoRA reads sigmoid(x . g) x in each layer.

    The gates g, one vector per layer of the LoRA, are the only parameters that are trained.
    """

    def __init__(self, tuned: Any, adapter: str) -> None:
        super().__init__()
        self.tuned = tuned
        self.config = tuned.config
        for parameter in tuned.parameters():
            parameter.requires_grad_(False)
        layers = {
            name.removeprefix(_LAYERS): module.lora_A[adapter]
            for name, module in tuned.named_modules()
            if adapter in getattr(module, "lora_A", {})
        }
        self._names = list(layers)
        self._gates = torch.nn.ParameterList(
            torch.nn.Parameter(torch.zeros(first.in_features, device=first.weight.device))
            for first in layers.values()
        )
        tuned.add_module(_PLACE, self._gates)  # where a trainer looks for what it trains
        self._hooks = [
            first.register_forward_pre_hook(functools.partial(_gate, gate))
            for first, gate in zip(layers.values(), self._gates, strict=True)
        ]

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Any:
        """As a model of transformers."""
        return self.tuned(input_ids=input_ids, use_cache=use_cache)

    def unload(self) -> Any:
        """The model without LoRA and gates."""
        for hook in self._hooks:
            hook.remove()
        delattr(self.tuned, _PLACE)
        return self.tuned.unload()

    def save(self, output: Path) -> None:
        """Write the gates, in float32."""
        gates = dict(zip(self._names, self._gates, strict=True))
        write_tensors(output, {"peft_type": "GATES"}, gates)


def _gate(gate: Tensor, module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
    (x,) = inputs
    opening = torch.sigmoid(x.to(gate.dtype) @ gate)
    return (x * opening.unsqueeze(-1).to(x.dtype),)


def read_gates(path: Path, widths: Mapping[str, int]) -> dict[str, Tensor]:
    """Saved gates by layer, in float32; `widths` are the inputs of the layers that must be there.

    Raises:
        LampbenchError: the file is damaged, or was made for another model or LoRA.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, Tensor] = load_file(path / "adapter_model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise LampbenchError(
            f"{path}: the gates are damaged ({error}); train them again"
        ) from error
    if {name: len(gate) for name, gate in found.items()} != widths:
        raise LampbenchError(
            f"{path}: the gates were trained on another LoRA or model; train them again"
        )
    return found
