"""A model with adapters merged into its weights, kept as an artifact."""

import shutil
from dataclasses import replace
from typing import Any

from lampbench.engine.adapter_files import read_adapter
from lampbench.engine.load_model import load_model
from lampbench.engine.model_arguments import ModelArguments
from lampbench.engine.model_files import fingerprint
from lampbench.engine.models import ModelSpec
from lampbench.engine.packaged_model import KIND, ArtifactStore
from lampbench.engine.protocol import Weights
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, file_digest

_VERSION = 1
"""Goes up when merging makes other weights."""


def merged_model(
    spec: ModelSpec, adapters: Weights, dtype: str, arguments: ModelArguments, store: ArtifactStore
) -> ModelSpec:
    """A model's folder with adapters merged in that order, as PEFT's `merge_and_unload` does.

    Sums are computed in float32 and stored in `dtype`.

    Raises:
        LampbenchError: the model cannot be loaded, or an adapter is missing, damaged or made for
            another model.
        FullDisk: the disk is full.
    """
    if not adapters:
        return spec
    contents = [[file_digest(file) for file in sorted(path.glob("adapter_*"))] for path in adapters]
    key = digest(["merged", _VERSION, fingerprint(spec), dtype, contents])
    if not store.has(KIND, key):
        with store.lock(f"{KIND}-{key}", f"merging adapters into {spec.name}"):
            if not store.has(KIND, key):
                store.say(f"merging {len(adapters)} adapters into {spec.name} for vLLM (once)")
                _merge(spec, adapters, dtype, arguments, key, store)
    folder = (store.path(KIND, key) / KIND).resolve()
    return replace(spec, location=str(folder), revision=None)


def _merge(
    spec: ModelSpec,
    adapters: Weights,
    dtype: str,
    arguments: ModelArguments,
    key: str,
    store: ArtifactStore,
) -> None:
    loaded = load_model(spec, "cpu", dtype, arguments)
    model: Any = loaded.model
    for path in adapters:
        _add(read_adapter(path, model, spec.location), model)
    folder = store.partial(KIND, key) / KIND
    shutil.rmtree(folder, ignore_errors=True)
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    with writing(folder, size), quiet_libraries():
        model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
    meta = {
        "model": spec.name,
        "merged": [str(path) for path in adapters],
        "owner": None,
        "others": sorted(_contributors(adapters, store)),
    }
    store.commit(KIND, key, folder, meta)


def _contributors(adapters: Weights, store: ArtifactStore) -> set[str]:
    """The users whose data is in adapters of the store: they may ask to be forgotten."""
    found: set[str] = set()
    for folder in (path.parent for path in adapters):
        kind, key = folder.parent.name, folder.name
        if folder == store.path(kind, key):
            meta = store.meta(kind, key)
            found |= {meta.get("owner") or "", *meta.get("others", ())} - {""}
    return found


def _add(adapter: Any, model: Any) -> None:
    import torch

    from lampbench.engine.combine_adapters import adapter_scale

    with torch.no_grad():
        for name, (first, second) in adapter.matrices.items():
            weight = model.get_submodule(name).weight
            change = (second.float() @ first.float()) * adapter_scale(adapter, name)
            if not change.isfinite().all():
                raise LampbenchError(
                    f"adapter {adapter.path}: its change of {name} is not finite; train it again"
                )
            weight.copy_((weight.float() + change).to(weight.dtype))
