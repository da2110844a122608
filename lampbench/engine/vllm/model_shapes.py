"""A model without its weights: its tokenizer, its context, and the shapes of its layers."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lampbench.engine.load_model import load_tokenizer, usable_context
from lampbench.engine.lora_init import linear_layers
from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.model_files import commit_of
from lampbench.engine.models import ModelSpec
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, slots=True)
class ModelShapes:
    """What a client must know of the model that a server holds.

    Attributes:
        model: the model on torch's meta device.
        tokenizer: the model's tokenizer.
        context: its context length in tokens.
    """

    model: Any
    tokenizer: Any
    context: int

    @property
    def vocabulary(self) -> int:
        """Number of tokens that the model knows."""
        return int(self.model.config.get_text_config().vocab_size)

    @property
    def lora_targets(self) -> list[str]:
        """The kinds of layers that may have an adapter: linear ones, without the output layer."""
        return sorted({name.rpartition(".")[2] for name in linear_layers(self.model)})


def model_shapes(spec: ModelSpec, arguments: ModelArguments) -> ModelShapes:
    """Read a model's configuration and tokenizer.

    Raises:
        LampbenchError: its files are missing, damaged or cannot be reached.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    auto: Any = AutoModelForCausalLM
    tokenizer = load_tokenizer(spec, arguments)
    options: dict[str, Any] = {
        "revision": commit_of(spec),
        "trust_remote_code": arguments.trust_remote_code,
    }
    with quiet_libraries():
        try:
            config = AutoConfig.from_pretrained(spec.location, **options)
            with torch.device("meta"):
                model = auto.from_config(config, trust_remote_code=arguments.trust_remote_code)
        except Exception as error:  # whatever a damaged file makes the library raise
            cause = " ".join(str(error).split())[:300]
            raise LampbenchError(
                f"the configuration of model {spec.location} cannot be used: {cause}; download or "
                "save the model again"
            ) from error
        with suppress(OSError):  # a model without one: what its configuration says is there already
            model.generation_config = GenerationConfig.from_pretrained(spec.location, **options)
    model.name_or_path = spec.location
    return ModelShapes(model, tokenizer, usable_context(spec, config, tokenizer))
