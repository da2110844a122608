"""The contrastive form of each architecture; a class is made when vLLM asks for it."""

import importlib
from typing import Any

from lampbench_vllm import MODELS, architecture
from lampbench_vllm.contrastive_model import Contrastive


def __getattr__(name: str) -> Any:
    for model, module in MODELS.items():
        if name == architecture(model):
            plain = getattr(
                importlib.import_module(f"vllm.model_executor.models.{module}"),
                f"{model}ForCausalLM",
            )
            return type(name, (Contrastive, plain), {"__module__": __name__})
    raise AttributeError(name)
