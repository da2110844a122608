"""The contrastive form of a model in a server, which lampbench-vllm has."""

from collections.abc import Sequence

from lampbench.engine.vllm.model_shapes import ModelShapes
from lampbench.util.errors import LampbenchError

ARCHITECTURES = ("Llama", "Mistral", "Qwen2", "Gemma3")
"""Those that lampbench-vllm has a contrastive form of, without ForCausalLM."""

PROCESSOR = "lampbench_vllm.per_request:ContrastPerRequest"
"""The logits processor of lampbench-vllm, as vLLM names it."""


def contrastive_override(shapes: ModelShapes) -> str:
    """What makes a server use the contrastive form of a model (`--hf-overrides`).

    Raises:
        LampbenchError: lampbench-vllm has none.
    """
    names: Sequence[str] = shapes.model.config.architectures or [type(shapes.model).__name__]
    if names[0].removesuffix("ForCausalLM") not in ARCHITECTURES:
        raise LampbenchError(
            f"lampbench-vllm has no contrastive form of {names[0]}; it has those of "
            f"{', '.join(ARCHITECTURES)}: use --engine batched"
        )
    return f'{{"architectures": ["Contrastive{names[0]}"]}}'
