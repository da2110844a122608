"""What a model's files say of how it can be run, without its weights. Does not import torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lampbench.engine.model_files import hub_file
from lampbench.engine.models import ModelSpec
from lampbench.util.errors import LampbenchError


def require_weights(folder: Path) -> list[Path]:
    """The files of weights in a model's folder.

    Raises:
        LampbenchError: there are none, or one is empty.
    """
    weights = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    empty = [file.name for file in weights if file.stat().st_size == 0]
    if not weights or empty:
        what = f"{empty[0]} is empty" if empty else "no weights (*.safetensors)"
        raise LampbenchError(f"{folder}: {what}; download or save the model again")
    return weights


def model_type(spec: ModelSpec) -> str | None:
    """What transformers calls the architecture; None where config.json does not say."""
    found = _read(spec, "config.json").get("model_type")
    return found if isinstance(found, str) else None


def context_length(spec: ModelSpec) -> int | None:
    """The model's context length in tokens, as it is when the model is loaded; None if unknown."""
    positions = text_config(spec).get("max_position_embeddings")
    known = [positions, _read(spec, "tokenizer_config.json").get("model_max_length")]
    numbers = [int(one) for one in known if isinstance(one, int | float) and one > 0]
    return min(numbers) if isinstance(positions, int) and numbers else None


def text_config(spec: ModelSpec) -> Mapping[str, Any]:
    """What config.json says of the model, or of its language model where it has several.

    Empty where the file is not there or cannot be read.
    """
    config = _read(spec, "config.json")
    inner = config.get("text_config", config)
    return inner if isinstance(inner, dict) else {}


def quantization_method(spec: ModelSpec) -> str | None:
    """How a model's stored weights are quantised, in transformers' words; None if they are not.

    Raises:
        LampbenchError: config.json says that they are, and not how.
    """
    found = _read(spec, "config.json").get("quantization_config")
    if found is None:
        return None
    method = found.get("quant_method") if isinstance(found, dict) else None
    if isinstance(method, str):
        return method
    raise LampbenchError(
        f"model {spec.location}: quantization_config in config.json names no quant_method; "
        "download or save the model again"
    )


def prompt_room(context: int, new_tokens: int, request: str) -> int:
    """Tokens that a prompt may have beside the answer.

    Args:
        context: the model's context length in tokens.
        new_tokens: the token budget of the answer.
        request: what is asked, for the message.

    Raises:
        LampbenchError: none are left.
    """
    if new_tokens >= context:
        raise LampbenchError(
            f"{request}: {new_tokens:,} new tokens leave no room for a prompt in the model's "
            f"context of {context:,} tokens; lower the token budget or choose a model with a "
            "longer context"
        )
    return context - new_tokens


def _read(spec: ModelSpec, name: str) -> dict[str, Any]:
    """One of a model's JSON files; empty if it is not there or cannot be read."""
    if spec.package is not None:
        return dict(spec.package.config) if name == "config.json" else {}
    try:
        file = spec.folder / name if spec.folder else Path(hub_file(spec, name))
        content = json.loads(file.read_text(encoding="utf-8"))
    except (LampbenchError, OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
