"""A second decoder that shares all weights of the first and has a KV cache of its own."""

import copy
from typing import Any

from vllm.model_executor.layers.attention import Attention


def twin_of(module: Any, vllm_config: Any, prefix: str = "twin") -> Any:
    """The same leaves (weights) under new containers, and every Attention made anew.

    An Attention has its own KV cache, which vLLM allocates under its `prefix`. Containers are
    copied all the way down, since vLLM's LoRA manager replaces leaves in their parents: in a
    container that both decoders shared, the twin would get the adapter.
    """
    if isinstance(module, Attention):
        return Attention(
            module.num_heads,
            module.head_size,
            module.impl.scale,
            num_kv_heads=module.num_kv_heads,
            cache_config=vllm_config.cache_config,
            quant_config=vllm_config.quant_config,
            per_layer_sliding_window=module.sliding_window,
            prefix=prefix,
        )
    if not module._modules:
        return module
    twin = copy.copy(module)
    twin._modules = {
        name: child and twin_of(child, vllm_config, f"{prefix}.{name}")
        for name, child in module._modules.items()
    }
    return twin
