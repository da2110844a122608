"""Models by name: the bundled one, the paper's, and any hub id or folder. Loads no torch."""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.hashing import digest, file_digest


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Where a model is and how it is run unless the user says otherwise.

    `name` is what results call it: a preset's name, a hub id, or the last part of a folder's path
    (its fingerprint tells it from another folder of that name). `location` is a folder or a hub
    id, `chat_template` one of lampbench's chat templates or None for the tokenizer's own,
    `dtype` the precision of weights and activations.
    """

    name: str
    location: str
    revision: str | None = None
    chat_template: str | None = None
    dtype: str = "bfloat16"

    @property
    def folder(self) -> Path | None:
        """The folder of a local model, None for one on the hub."""
        path = Path(self.location)
        return path if path.is_dir() else None


BUNDLED = ("bundled", "bundled-small")
"""The models that every installation carries."""


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
    """Whether it is one of those, not a folder that happens to have the name."""
    return spec.name in BUNDLED and spec == MODEL_PRESETS[spec.name]


def resolve_model(name: str) -> ModelSpec:
    """The model that a name stands for: a preset, a folder, or a hub id (`org/name[@revision]`).

    Raises:
        LampbenchError: it is none of these.
    """
    if name in MODEL_PRESETS:
        return MODEL_PRESETS[name]
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise LampbenchError(f"{folder}: no model there (config.json is missing)")
        path = folder.resolve()
        return ModelSpec(path.name, str(path), dtype=_stored_dtype(folder))
    location, _, revision = name.partition("@")
    if _HUB_ID.fullmatch(location):
        return ModelSpec(name, location, revision or None)
    hint = suggestion(name, MODEL_PRESETS)
    raise LampbenchError(f"no model is called {name!r}, and no folder or hub id either: {hint}")


def _stored_dtype(folder: Path) -> str:
    """The precision that a folder's weights say they have, bfloat16 where they do not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text = config.get("text_config") or {}
        found = config.get("dtype") or config.get("torch_dtype") or text.get("dtype")
    except (OSError, ValueError, AttributeError) as error:
        raise LampbenchError(f"{folder / 'config.json'}: no configuration ({error})") from error
    return found if found in ("float32", "bfloat16", "float16") else "bfloat16"


def fingerprint(spec: ModelSpec, cache: Path) -> str:
    """What identifies a model's weights, configuration and tokenizer.

    A folder: the digest of its files' bytes (remembered in `cache` by path, size and time). A
    hub id: the commit that the revision stands for.

    Raises:
        LampbenchError: the folder is gone, or the hub cannot be reached and the model is not in
            its local cache.
    """
    if (commit := commit_of(spec)) is not None:
        return f"{spec.location}@{commit}"
    folder = Path(spec.location)
    named = {file for pattern in _IDENTIFYING for file in folder.glob(pattern)}
    return digest([[file.name, _remembered_digest(file, cache)] for file in sorted(named)])


def commit_of(spec: ModelSpec) -> str | None:
    """The commit that a hub model's revision stands for; None for a folder.

    Raises:
        LampbenchError: as in `fingerprint`.
    """
    if spec.folder is not None:
        return None
    if Path(spec.location).is_absolute():
        hint = "run scripts/pretrain.py" if spec.name in BUNDLED else "give another folder"
        raise LampbenchError(f"{spec.location}: the model's folder is missing; {hint}")
    return Path(_hub_file(spec, "config.json")).parent.name


def _remembered_digest(file: Path, cache: Path) -> str:
    """The digest of a large file, which is not read again while its size and time stand."""
    stat = file.stat()
    memory = cache / "digests.json"
    try:
        known: dict[str, str] = dict(json.loads(memory.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        known = {}
    name = f"{file.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    if name not in known:
        known[name] = file_digest(file)
        cache.mkdir(parents=True, exist_ok=True)
        staged = memory.with_name(f"{memory.name}.{os.getpid()}")
        staged.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
        staged.replace(memory)
    return known[name]


def _hub_file(spec: ModelSpec, name: str) -> str:
    """A file of a model on the hub, from the local cache where it is there."""
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
            f"model {spec.location}: access must be asked for at its hub page, then `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise LampbenchError(
            f"model {spec.location}: the hub has no such model or revision {spec.revision or ''}"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise LampbenchError(
            f"model {spec.location}: the hub is not reachable and the model is not downloaded; "
            f"where there is a network run `hf download {spec.location}`, or give a folder"
        ) from error
    finally:
        notices.setLevel(level)


@dataclass(frozen=True, slots=True)
class HiddenSizes:
    """Layers of the decoder, and (inputs, outputs) of each kind of linear layer in one."""

    layers: int
    linear: Mapping[str, tuple[int, int]]


def hidden_sizes(spec: ModelSpec) -> HiddenSizes | None:
    """The sizes that an adapter's depend on; None where config.json does not tell."""
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
        return HiddenSizes(config["num_hidden_layers"], linear)
    except (OSError, ValueError, KeyError):
        return None
