"""Contrastive decoding inside vLLM. This module is what vLLM loads as a plugin."""

MODELS = {"Llama": "llama", "Mistral": "mistral", "Qwen2": "qwen2", "Gemma3": "gemma3"}
"""The architectures that have a contrastive form, and the vLLM module of each."""


def architecture(name: str) -> str:
    """The architecture of contrastive decoding for one of MODELS, as a configuration names it."""
    return f"Contrastive{name}ForCausalLM"


def register() -> None:
    """Make vLLM know the contrastive architectures, and tell of a contrast for all requests."""
    from vllm import ModelRegistry

    from lampbench_vllm.told_settings import tell_settings

    tell_settings()
    for name in MODELS:
        ModelRegistry.register_model(
            architecture(name), f"lampbench_vllm.models:{architecture(name)}"
        )
