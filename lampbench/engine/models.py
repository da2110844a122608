"""Models by name: those of `models.toml`, any hub id or folder. Does not import torch."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from lampbench.core.precision import PRECISIONS
from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.regular_file import read_regular


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A GGUF file in a Python package, from which a model is converted.

    Attributes:
        name: the package's name for pip.
        version: the version whose file is known.
        module: the package's name for `import`.
        file: the file in the module's folder.
        sha256: of the file.
        weights_sha256: of the weights that the conversion makes.
        config: sizes in the model's config.json, by name.
    """

    name: str
    version: str
    module: str
    file: str
    sha256: str
    weights_sha256: str
    config: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Where a model is, and how it is run by default.

    Attributes:
        name: the model's name in results: a preset's name, a hub id, or the last part of a folder's
            path (the fingerprint tells folders of the same name apart).
        location: a folder, a hub id, or the package and version of a packaged model.
        revision: a commit, branch or tag on the hub; None is the default branch.
        chat_template: one of lampbench's chat templates; None is the tokenizer's own.
        dtype: precision of weights and activations.
        package: the file that a packaged model is converted from.
        preset: default hyper-parameters; None is the paper's.
        parameters: their number; None where it is not known.
        licence: of the weights; None where it is not known.
        notes: what a reader of the model's scores must know.
    """

    name: str
    location: str
    revision: str | None = None
    chat_template: str | None = None
    dtype: str = "bfloat16"
    package: PackagedFile | None = None
    preset: str | None = None
    parameters: int | None = None
    licence: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path | None:
        """The folder of a local model; None for a model on the hub or in a package."""
        path = Path(self.location)
        return path if self.package is None and path.is_dir() else None


def _read_presets() -> dict[str, ModelSpec]:
    text = files("lampbench.engine").joinpath("models.toml").read_text("utf-8")
    return {name: _preset(name, entry) for name, entry in tomllib.loads(text).items()}


def _preset(name: str, entry: dict[str, Any]) -> ModelSpec:
    if entry.pop("bundled", False):
        entry["location"] = str(files("lampbench.bundled").joinpath(entry["location"]))
    package = entry.pop("package", None)
    if package is not None:
        package = PackagedFile(**{**package, "config": tuple(package["config"].items())})
    notes = tuple(entry.pop("notes", ()))
    return ModelSpec(name, package=package, notes=notes, **entry)


MODEL_PRESETS: Mapping[str, ModelSpec] = _read_presets()
"""The models of `models.toml` by name."""

BUNDLED = ("bundled", "bundled-small")
"""Names of the models that are part of every installation."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_bundled(spec: ModelSpec) -> bool:
    """Whether it is a bundled model, and not a folder that happens to have the same name."""
    return spec.name in BUNDLED and spec == MODEL_PRESETS[spec.name]


def resolve_model(name: str) -> ModelSpec:
    """The model of that name: a preset, a folder, or a hub id. `NAME@REVISION` works on the hub.

    Raises:
        LampbenchError: it is none of these.
    """
    if name in MODEL_PRESETS:
        return MODEL_PRESETS[name]
    preset, _, revision = name.partition("@")
    if revision and preset in MODEL_PRESETS:
        return _at_revision(MODEL_PRESETS[preset], revision)
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise LampbenchError(
                f"{folder}: no model in this folder (config.json is missing); give another folder"
            )
        path = folder.resolve()
        return ModelSpec(path.name, str(path), dtype=_stored_dtype(folder))
    if revision and Path(preset).is_dir():
        raise LampbenchError(
            f"model {name}: a folder has no revisions; leave the revision out, or give the folder "
            "of that revision"
        )
    location, _, revision = name.partition("@")
    if _HUB_ID.fullmatch(location):
        return ModelSpec(name, location, revision or None)
    hint = suggestion(name, MODEL_PRESETS)
    raise LampbenchError(
        f"no model is called {name!r}, and it is neither a folder nor a hub id (org/name): {hint}"
    )


def _at_revision(spec: ModelSpec, revision: str) -> ModelSpec:
    """Another revision of a preset on the hub; its name says so."""
    if spec.package is not None or Path(spec.location).is_absolute():
        raise LampbenchError(
            f"model {spec.name}@{revision}: {spec.name} has no revisions, since it is not on the "
            "hub; leave the revision out"
        )
    return replace(spec, name=f"{spec.name}@{revision}", revision=revision)


def _stored_dtype(folder: Path) -> str:
    """The precision that config.json names for a folder's weights, bfloat16 if it names none."""
    try:
        config = json.loads(read_regular(folder / "config.json"))
        text = config.get("text_config") or {}
        found = config.get("dtype") or config.get("torch_dtype") or text.get("dtype")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise LampbenchError(
            f"{folder / 'config.json'}: no model configuration ({error}); save the model again"
        ) from error
    return found if found in PRECISIONS else "bfloat16"
