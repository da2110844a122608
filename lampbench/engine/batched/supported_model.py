"""Models of which a row's numbers would be wrong, or depend on the rest of its batch."""

from collections.abc import Iterator, Mapping
from typing import Any

from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.model_config import context_length, text_config
from lampbench.engine.model_files import commit_of
from lampbench.engine.models import ModelSpec
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.errors import LampbenchError

_LAYERS = {"full_attention", "sliding_attention"}
_OTHER_LAYERS = ("attention_chunk_size", "full_attention_interval")
"""Numbers in config.json by which transformers gives layers other kinds."""


def require_supported(config: Any, model: str, context: int) -> None:
    """Make sure that a row's numbers are those of the row alone.

    Masks and the key/value cache know layers that attend to all tokens or to a window of the last
    ones. LongRoPE (Ding et al., ICML 2024) has two sets of rotary frequencies; transformers chooses
    one for a whole pass by its longest row, and keys in the cache keep the one they had.

    Args:
        config: the model's configuration, as transformers has it.
        model: the model, for the message.
        context: the most tokens of a prompt and its answer.

    Raises:
        LampbenchError: a layer is of another kind, or LongRoPE's second set could be chosen.
    """
    config = config.get_text_config()
    if odd := sorted(set(getattr(config, "layer_types", None) or ()) - _LAYERS):
        raise _refused(model, f"its layers of kind {odd[0]} are not supported")
    for settings in _rotary_settings(getattr(config, "rope_parameters", None) or {}):
        first = settings.get("original_max_position_embeddings")
        if settings.get("rope_type") == "longrope" and first is not None and context > first:
            raise _refused(
                model, f"its LongRoPE would let prompts of more than {first:,} tokens change others"
            )


def require_supported_files(spec: ModelSpec, arguments: ModelArguments) -> None:
    """As `require_supported`, from a model's config.json; what it does not say is found when the
    model is loaded.

    Raises:
        LampbenchError: as `require_supported`.
    """
    context = context_length(spec)
    if spec.package is not None or context is None or not _may_be_refused(text_config(spec)):
        return
    from transformers import AutoConfig  # takes seconds, and is right about every architecture

    with quiet_libraries():
        try:
            config = AutoConfig.from_pretrained(
                spec.location,
                revision=commit_of(spec),
                trust_remote_code=arguments.trust_remote_code,
            )
        except Exception:  # whatever a damaged file makes the library raise; loading tells it
            return
    require_supported(config, spec.location, context)


def _may_be_refused(said: Mapping[str, Any]) -> bool:
    """Whether config.json has a word of other kinds of layers, or of LongRoPE's frequencies."""
    layers, rotary = said.get("layer_types"), said.get("rope_parameters", said.get("rope_scaling"))
    if any(said.get(name) for name in _OTHER_LAYERS):
        return True
    if isinstance(layers, list) and not _LAYERS.issuperset(map(str, layers)):
        return True
    settings = _rotary_settings(rotary) if isinstance(rotary, Mapping) else ()
    return any("short_factor" in each for each in settings)


def _rotary_settings(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rotary settings of a model: of all layers, or by kind of layer."""
    yield found
    yield from (each for each in found.values() if isinstance(each, Mapping))


def _refused(model: str, cause: str) -> LampbenchError:
    return LampbenchError(f"model {model}: {cause}; use --engine reference")
