"""A model's files: what identifies it, its commit on the hub, its sizes. Does not import torch."""

import json
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lampbench.engine.models import BUNDLED, ModelSpec
from lampbench.engine.packaged_model import packaged_file, packaged_fingerprint, require_known
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, file_digest
from lampbench.util.regular_file import read_regular

_IDENTIFYING = ("*config.json", "*token*.json", "vocab.json", "merges.txt", "chat_template.json",
                "*.jinja", "*.py", "*.index.json", "*.safetensors", "*.bin", "*.model")  # fmt: skip


def fingerprint(spec: ModelSpec) -> str:
    """Identifies a model's weights, configuration and tokenizer.

    For a folder, the digest of its files' bytes, which are read each time: sizes and times do not
    tell whether a file was changed. For a hub id, the commit of its revision; for a packaged model,
    the digest of the package's file and the version of its conversion.

    Raises:
        LampbenchError: the folder or package is missing, a file cannot be read, the package's file
            is another one than lampbench knows, or the hub cannot be reached and the model is not
            in its local cache.
    """
    if (packaged := spec.package) is not None:
        require_known(packaged, _digest(packaged_file(packaged)))
        return packaged_fingerprint(packaged)
    if (commit := commit_of(spec)) is not None:
        return f"{spec.location}@{commit}"
    folder = Path(spec.location)
    named = sorted({file for pattern in _IDENTIFYING for file in folder.glob(pattern)})
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:  # hashing frees the interpreter
        digests = list(threads.map(_digest, named))
    return digest([[file.name, one] for file, one in zip(named, digests, strict=True)])


def _digest(file: Path) -> str:
    try:
        return file_digest(file)
    except OSError as error:
        raise LampbenchError(
            f"{file}: cannot be read ({error.strerror}); make it a readable file or remove it"
        ) from error


def commit_of(spec: ModelSpec) -> str | None:
    """The commit of a hub model's revision; None for a folder and for a packaged model.

    Raises:
        LampbenchError: the folder is missing, or the hub cannot be reached and the model is not in
            its local cache.
    """
    if spec.folder is not None or spec.package is not None:
        return None
    if Path(spec.location).is_absolute():
        hint = "run scripts/pretrain.py" if spec.name in BUNDLED else "give another folder"
        raise LampbenchError(f"{spec.location}: the model's folder is missing; {hint}")
    return Path(hub_file(spec, "config.json")).parent.name


def hub_file(spec: ModelSpec, name: str) -> str:
    """Path of a file of a hub model: from the local cache, or downloaded into it.

    Raises:
        LampbenchError: the hub cannot be reached or refuses, and the file is not in the cache.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    notices = logging.getLogger("huggingface_hub")
    level = notices.level
    notices.setLevel(logging.CRITICAL)
    try:
        return hf_hub_download(spec.location, name, revision=spec.revision)
    except GatedRepoError as error:
        raise LampbenchError(
            f"model {spec.location}: access is restricted; ask for it on the model's page at "
            "huggingface.co, then run `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise LampbenchError(
            f"model {spec.location}: the hub has no model of that name with revision "
            f"{spec.revision or 'main'}; check both at huggingface.co"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise LampbenchError(
            f"model {spec.location}: the hub cannot be reached and the model is not downloaded; "
            f"run `hf download {spec.location}` with a network connection, or give a folder"
        ) from error
    finally:
        notices.setLevel(level)


@dataclass(frozen=True, slots=True)
class DecoderSizes:
    """Number of decoder layers, and (inputs, outputs) of each kind of linear layer in a layer."""

    layers: int
    linear: Mapping[str, tuple[int, int]]


_LARGEST_SIZE = 2**31


def decoder_sizes(spec: ModelSpec) -> DecoderSizes | None:
    """The sizes that determine those of an adapter; None if config.json does not give them."""
    try:
        config = _config(spec)
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        head = config.get("head_dim") or hidden // heads
        queries, keys = head * heads, head * config.get("num_key_value_heads", heads)
        middle = config["intermediate_size"]
        linear = {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, middle),
            "up_proj": (hidden, middle),
            "down_proj": (middle, hidden),
        }
        layers = config["num_hidden_layers"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError,
            RecursionError):  # fmt: skip
        return None
    sizes = [layers, *(size for pair in linear.values() for size in pair)]
    sound = all(type(size) is int and 0 < size <= _LARGEST_SIZE for size in sizes)
    return DecoderSizes(layers, linear) if sound else None


def _config(spec: ModelSpec) -> dict[str, Any]:
    """What config.json says of the text decoder."""
    if spec.package is not None:
        return dict(spec.package.config)
    file = spec.folder / "config.json" if spec.folder else hub_file(spec, "config.json")
    config: dict[str, Any] = json.loads(read_regular(Path(file)))
    text: dict[str, Any] = config.get("text_config", config)
    return text
