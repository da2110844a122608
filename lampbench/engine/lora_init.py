"""Where a new LoRA starts: the layers that get one, A at random, B zero."""

import math
import re
from typing import Any

import torch

from lampbench.engine.batched.stacked_lora import Layout, Pairs
from lampbench.engine.protocol import LoraSpec
from lampbench.util.errors import LampbenchError

OTHER_TOWERS = re.compile(r"(vision|visual|multi_modal|audio)")


def layers_of(model: Any) -> dict[str, Any]:
    """Linear layers of the text decoder, by name, in the model's order."""
    return {
        name: module
        for name, module in model.named_modules()
        if hasattr(module, "in_features")
        and module is not model.get_output_embeddings()
        and not OTHER_TOWERS.search(name)
    }


def targeted(model: Any, lora: LoraSpec) -> dict[str, Any]:
    """The layers whose last name is one of the LoRA's targets.

    Raises:
        LampbenchError: a target is no linear layer of the model.
    """
    layers = layers_of(model)
    kinds = {name.rpartition(".")[2] for name in layers}
    if missing := sorted(set(lora.targets) - kinds):
        raise LampbenchError(
            f"model {model.name_or_path} has no linear layers called {missing[0]}; it has "
            f"{', '.join(sorted(kinds))}"
        )
    return {
        name: layer for name, layer in layers.items() if name.rpartition(".")[2] in lora.targets
    }


def initial_pairs(model: Any, lora: LoraSpec, seed: int) -> Pairs:
    """A new adapter, float32, on the processor: A as PEFT draws it (Kaiming uniform with
    a = sqrt 5), from `seed` alone whatever the device; B zero, so that it changes nothing yet.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = {}
    for name, layer in targeted(model, lora).items():
        first = torch.empty(lora.rank, layer.in_features)
        torch.nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)
        pairs[name] = first, torch.zeros(layer.out_features, lora.rank)
    return pairs


def trained_layout(model: Any, lora: LoraSpec) -> Layout:
    """The layout of adapters of this shape.

    Raises:
        LampbenchError: as in `targeted`.
    """
    layers = targeted(model, lora)
    shapes = {name: (layer.in_features, layer.out_features) for name, layer in layers.items()}
    return Layout(shapes, lora.rank)


def lora_config(model: Any, lora: LoraSpec, base: str) -> Any:
    """What PEFT writes beside the weights of a new adapter."""
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
