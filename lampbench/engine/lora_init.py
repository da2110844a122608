"""New LoRA adapters: the layers they sit on, their initial values, their PEFT configuration."""

import math
import re
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.layer_names import require_layers
from lampbench.engine.protocol import LoraSpec

LoraMatrices = dict[str, tuple[Tensor, Tensor]]
"""A [rank, inputs] and B [outputs, rank] of an adapter, by the name of their linear layer."""

OTHER_TOWERS = re.compile(r"(vision|visual|multi_modal|audio)")
"""What the names of modules have in common that are not the text decoder's."""


def linear_layers(model: Any) -> dict[str, Any]:
    """Linear layers of the text decoder by name, in the model's order, without the output layer."""
    return {
        name: module
        for name, module in model.named_modules()
        if hasattr(module, "in_features")
        and module is not model.get_output_embeddings()
        and not OTHER_TOWERS.search(name)
    }


def target_layers(model: Any, lora: LoraSpec) -> dict[str, Any]:
    """The linear layers whose last name is one of the LoRA's targets.

    Raises:
        LampbenchError: a target is not a linear layer of the model.
    """
    layers = linear_layers(model)
    kinds = {name.rpartition(".")[2] for name in layers}
    require_layers(model.name_or_path, lora.targets, kinds)
    return {
        name: layer for name, layer in layers.items() if name.rpartition(".")[2] in lora.targets
    }


def initial_matrices(model: Any, lora: LoraSpec, seed: int) -> LoraMatrices:
    """A new adapter in float32, on the CPU, initialised as PEFT does (Hu et al., 2022).

    A is Kaiming-uniform with a = sqrt(5), drawn from `seed` alone whatever the model's device; B is
    zero, so that the adapter does not change the model yet.

    Raises:
        LampbenchError: a target is not a linear layer of the model.
    """
    generator = torch.Generator().manual_seed(seed)
    matrices = {}
    for name, layer in target_layers(model, lora).items():
        first = torch.empty(lora.rank, layer.in_features)
        torch.nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)
        matrices[name] = first, torch.zeros(layer.out_features, lora.rank)
    return matrices


def peft_config(model: Any, lora: LoraSpec, base: str) -> Any:
    """PEFT's configuration of a new adapter; `base` is where the model was loaded from."""
    from peft import LoraConfig

    towers = any(OTHER_TOWERS.search(name) for name, _ in model.named_modules())
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        exclude_modules=f".*{OTHER_TOWERS.pattern}.*" if towers else None,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        inference_mode=True,
    )
