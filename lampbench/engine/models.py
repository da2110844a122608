"""Models by name: the bundled ones, the paper's, any hub id or folder. Does not import torch."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lampbench.util.atomic import replace
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.hashing import digest, file_digest


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Where a model is, and how it is run by default.

    Attributes:
        name: the model's name in results: a preset's name, a hub id, or the last part of a folder's
            path (the fingerprint tells folders of the same name apart).
        location: a folder or a hub id.
        revision: a commit, branch or tag on the hub; None is the default branch.
        chat_template: one of lampbench's chat templates; None is the tokenizer's own.
        dtype: precision of weights and activations.
    """

    name: str
    location: str
    revision: str | None = None
    chat_template: str | None = None
    dtype: str = "bfloat16"

    @property
    def folder(self) -> Path | None:
        """The folder of a local model; None for a model on the hub."""
        path = Path(self.location)
        return path if path.is_dir() else None


BUNDLED = ("bundled", "bundled-small")
"""Names of the models that are part of every installation."""


def _bundled(folder: str) -> str:
    return str(files("lampbench.bundled").joinpath(folder))


MODEL_PRESETS: Mapping[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec("bundled", _bundled("model"), dtype="float32"),
        ModelSpec("bundled-small", _bundled("model-small"), dtype="float32"),
        ModelSpec("mistral-7b", "mistralai/Mistral-7B-Instruct-v0.3"),
        ModelSpec("llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct"),
        ModelSpec("gemma-3-4b", "google/gemma-3-4b-it"),
        ModelSpec("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B-Instruct"),
        ModelSpec("vicuna-7b", "lmsys/vicuna-7b-v1.5", chat_template="vicuna"),
    )
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_IDENTIFYING = ("*config.json", "*token*.json", "vocab.json", "merges.txt", "chat_template.json",
                "*.jinja", "*.index.json", "*.safetensors", "*.bin", "*.model")  # fmt: skip


def is_bundled(spec: ModelSpec) -> bool:
    """Whether it is a bundled model, and not a folder that happens to have the same name."""
    return spec.name in BUNDLED and spec == MODEL_PRESETS[spec.name]


def resolve_model(name: str) -> ModelSpec:
    """The model of that name: a preset, a folder, or a hub id (`org/name[@revision]`).

    Raises:
        LampbenchError: it is none of these.
    """
    if name in MODEL_PRESETS:
        return MODEL_PRESETS[name]
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise LampbenchError(
                f"{folder}: no model in this folder (config.json is missing); give another folder"
            )
        path = folder.resolve()
        return ModelSpec(path.name, str(path), dtype=_stored_dtype(folder))
    location, _, revision = name.partition("@")
    if _HUB_ID.fullmatch(location):
        return ModelSpec(name, location, revision or None)
    hint = suggestion(name, MODEL_PRESETS)
    raise LampbenchError(
        f"no model is called {name!r}, and it is neither a folder nor a hub id (org/name): {hint}"
    )


def _stored_dtype(folder: Path) -> str:
    """The precision that config.json names for a folder's weights, bfloat16 if it names none."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text = config.get("text_config") or {}
        found = config.get("dtype") or config.get("torch_dtype") or text.get("dtype")
    except (OSError, ValueError, AttributeError) as error:
        raise LampbenchError(
            f"{folder / 'config.json'}: no model configuration ({error}); save the model again"
        ) from error
    return found if found in ("float32", "bfloat16", "float16") else "bfloat16"


def fingerprint(spec: ModelSpec, cache: Path) -> str:
    """Identifies a model's weights, configuration and tokenizer.

    For a folder, the digest of its files' bytes (kept in the folder `cache` by path, size and time
    of change); for a hub id, the commit of its revision.

    Raises:
        LampbenchError: the folder is missing, or the hub cannot be reached and the model is not in
            its local cache.
    """
    if (commit := commit_of(spec)) is not None:
        return f"{spec.location}@{commit}"
    folder = Path(spec.location)
    named = {file for pattern in _IDENTIFYING for file in folder.glob(pattern)}
    return digest([[file.name, _remembered_digest(file, cache)] for file in sorted(named)])


def commit_of(spec: ModelSpec) -> str | None:
    """The commit of a hub model's revision; None for a folder.

    Raises:
        LampbenchError: the folder is missing, or the hub cannot be reached and the model is not in
            its local cache.
    """
    if spec.folder is not None:
        return None
    if Path(spec.location).is_absolute():
        hint = "run scripts/pretrain.py" if spec.name in BUNDLED else "give another folder"
        raise LampbenchError(f"{spec.location}: the model's folder is missing; {hint}")
    return Path(_hub_file(spec, "config.json")).parent.name


def _remembered_digest(file: Path, cache: Path) -> str:
    """Digest of a large file, which is only read again if its size or time has changed."""
    stat = file.stat()
    memory = cache / "digests.json"
    try:
        known: dict[str, str] = dict(json.loads(memory.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        known = {}
    name = f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    if name not in known:
        known[name] = file_digest(file)
        with writing(memory):
            cache.mkdir(parents=True, exist_ok=True)
        replace(memory, json.dumps(known, indent=1, sort_keys=True).encode())
    return known[name]


def _hub_file(spec: ModelSpec, name: str) -> str:
    """Path of a file of a hub model: from the local cache, or downloaded into it."""
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


def decoder_sizes(spec: ModelSpec) -> DecoderSizes | None:
    """The sizes that determine those of an adapter; None if config.json does not give them."""
    try:
        file = spec.folder / "config.json" if spec.folder else _hub_file(spec, "config.json")
        config: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
        config = config.get("text_config", config)
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
        return DecoderSizes(config["num_hidden_layers"], linear)
    except (OSError, ValueError, KeyError):
        return None
