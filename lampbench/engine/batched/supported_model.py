"""Models of which a row's numbers would be wrong, or depend on the rest of its batch."""

from collections.abc import Iterator, Mapping
from typing import Any

from lampbench.util.errors import LampbenchError

_LAYERS = {"full_attention", "sliding_attention"}


def require_supported(model: Any, context: int) -> None:
    """Make sure that a row's numbers are those of the row alone; prompts and answers have at most
    `context` tokens.

    Masks and the key/value cache know layers that attend to all tokens or to a window of the last
    ones. LongRoPE (Ding et al., ICML 2024) has two sets of rotary frequencies; transformers chooses
    one for a whole pass by its longest row, and keys in the cache keep the one they had.

    Raises:
        LampbenchError: a layer is of another kind, or LongRoPE's second set could be chosen.
    """
    config = model.config.get_text_config()
    if odd := sorted(set(getattr(config, "layer_types", None) or ()) - _LAYERS):
        raise _refused(model, f"its layers of kind {odd[0]} are not supported")
    for settings in _rotary_settings(getattr(config, "rope_parameters", None) or {}):
        first = settings.get("original_max_position_embeddings")
        if settings.get("rope_type") == "longrope" and first is not None and context > first:
            raise _refused(
                model, f"its LongRoPE would let prompts of more than {first:,} tokens change others"
            )


def _rotary_settings(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rotary settings of a model: of all layers, or by kind of layer."""
    yield found
    yield from (each for each in found.values() if isinstance(each, Mapping))


def _refused(model: Any, cause: str) -> LampbenchError:
    return LampbenchError(f"model {model.name_or_path}: {cause}; use --engine reference")
