"""LoRA adapters on disk, in PEFT's format: checked when read, written all or nothing."""

import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lampbench.engine.lora_init import LoraMatrices, target_layers
from lampbench.engine.protocol import LoraSpec
from lampbench.util.disk import writing
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.util.regular_file import read_regular

_PREFIX = "base_model.model."
_SUFFIXES = (".lora_A.weight", ".lora_B.weight")
# What PEFT can add to a LoRA that changes the function it computes.
_VARIANTS = ("use_dora", "lora_bias", "modules_to_save", "trainable_token_indices",
             "target_parameters", "layer_replication", "use_qalora", "use_bdlora",
             "alora_invocation_tokens", "arrow_config", "kasa_config")  # fmt: skip
# What gives layers other ranks or scales than alpha / rank, which training does not.
_BY_LAYER = ("use_rslora", "rank_pattern", "alpha_pattern")
_LARGEST_SCALE = 1e6
_LONGEST_PATTERN, _MOST_REPEATS = 200, 3
_REPEATED = re.compile(r"\)[*+?{]")  # a repeated group may take for ever
# Initialisations that leave the base model's weights as they are.
_INITS = (True, False, "gaussian", "orthogonal", "eva")


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """A saved adapter: PEFT's configuration, and its matrices by layer."""

    path: Path
    config: Any
    matrices: LoraMatrices

    @property
    def targets(self) -> set[str]:
        """The kinds of layers it sits on (`q_proj`, ...)."""
        return {layer.rpartition(".")[2] for layer in self.matrices}

    def require_shape(self, lora: LoraSpec, model: Any) -> None:
        """Check that a training job of this shape can continue the adapter.

        Raises:
            LampbenchError: it differs in rank, alpha or target layers, or a layer is missing.
        """
        config = self.config
        found = (config.r, config.lora_alpha, self.targets)
        odd = [name for name in _BY_LAYER if getattr(config, name)]
        if found != (lora.rank, lora.alpha, set(lora.targets)) or odd:
            raise LampbenchError(
                f"adapter {self.path} has rank {found[0]}, alpha {found[1]} and targets "
                f"{','.join(sorted(self.targets))}{f' with {odd[0]}' if odd else ''}; training "
                f"needs rank {lora.rank}, alpha {lora.alpha}, {','.join(lora.targets)}: set these "
                "hyper-parameters to the adapter's, or train it again"
            )
        if missing := sorted(target_layers(model, lora).keys() - self.matrices.keys()):
            raise LampbenchError(
                f"adapter {self.path} has no weights for {missing[0]}; train it again"
            )


def file_signature(path: Path) -> tuple[Any, ...]:
    """Tells a saved adapter from another one that replaced it at the same path."""
    stats = [file.stat() for file in sorted(path.glob("adapter_*"))]
    return str(path), *((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)


def read_adapter(path: Path, model: Any, base: str) -> AdapterFile:
    """Read an adapter and check that it fits `model`, which was loaded from `base`.

    Raises:
        LampbenchError: it is missing, damaged, more than a plain LoRA, or made for another model;
            a weight is not a finite number.
    """
    from peft import LoraConfig
    from peft.utils import load_peft_weights
    from peft.utils.other import get_pattern_key

    file = path / "adapter_config.json"
    try:
        values = json.loads(read_regular(file))
        kind = values.get("peft_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise LampbenchError(
            f"{file}: no adapter in PEFT's format ({error}); train it again or name another one"
        ) from error
    if kind != "LORA":
        raise LampbenchError(
            f"{file}: the adapter is of type {short_repr(kind)}; only LORA is supported, train one"
        )
    weights = [path / f"adapter_model.{end}" for end in ("safetensors", "bin")]
    if not any(one.is_file() for one in weights) or any(
        one.exists() and not one.is_file() for one in weights
    ):
        raise LampbenchError(
            f"{path}: the adapter's weights are missing or no file (adapter_model.*); train it "
            "again"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unknown options are refused below
            config = LoraConfig.from_pretrained(str(path))
        tensors = load_peft_weights(str(path), device="cpu")
    except Exception as error:  # whatever a damaged file makes the libraries raise
        cause = " ".join(str(error).split())[:200]
        raise LampbenchError(f"{path}: the adapter is damaged ({cause}); train it again") from error
    _check_numbers(path, config)
    known = {field.name for field in fields(config)}
    odd = [short_repr(name) for name, value in values.items() if value and name not in known]
    odd += [name for name in _VARIANTS if getattr(config, name, None)]
    if config.init_lora_weights not in _INITS:
        odd.append(f"init_lora_weights={config.init_lora_weights}")
    odd += [name for name in tensors if not name.endswith(_SUFFIXES)]
    if odd:
        raise LampbenchError(
            f"{path}: the adapter is more than a plain LoRA ({odd[0]}), which is not supported; "
            "train one without it"
        )
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise LampbenchError(
                f"adapter {path}: {name} holds NaN or infinity; train it again, with a lower "
                "learning rate or --dtype float32"
            )
    _require_base(path, str(config.base_model_name_or_path or ""), base)
    names = {name.removeprefix(_PREFIX).removesuffix(suffix)
             for name in tensors for suffix in _SUFFIXES if name.endswith(suffix)}  # fmt: skip
    matrices = {name: _layer_matrices(path, name, tensors, model) for name in sorted(names)}
    for name, (first, _) in matrices.items():
        rank = config.rank_pattern.get(get_pattern_key(list(config.rank_pattern), name), config.r)
        if len(first) != rank:
            raise LampbenchError(
                f"adapter {path}: {name} has rank {len(first)}, its configuration says {rank}; "
                "train it again"
            )
    if not matrices:
        raise LampbenchError(f"{path}: the adapter has no weights; train it again")
    return AdapterFile(path, config, matrices)


def _check_numbers(path: Path, config: Any) -> None:
    """Check that ranks are positive, scales finite and patterns mappings to such numbers.

    Raises:
        LampbenchError: one of them is not.
    """
    patterns = config.rank_pattern, config.alpha_pattern
    sound = all(isinstance(one, dict) and all(map(_harmless, one)) for one in patterns)
    ranks, alphas = ([*one.values()] if sound else [] for one in patterns)
    sound &= all(type(rank) is int and 0 < rank < _LARGEST_SCALE for rank in (config.r, *ranks))
    sound &= all(
        type(alpha) in (int, float) and abs(alpha) < _LARGEST_SCALE
        for alpha in (config.lora_alpha, *alphas)
    )
    if not sound or type(config.use_rslora) is not bool:
        raise LampbenchError(
            f"{path}: the adapter is damaged (r, lora_alpha, use_rslora or their patterns in "
            "adapter_config.json are no sensible numbers); train it again"
        )


def _harmless(pattern: str) -> bool:
    """Whether a pattern of layer names is a regular expression that is matched in no time."""
    repeats = sum(pattern.count(sign) for sign in "*+?{")
    if len(pattern) > _LONGEST_PATTERN or repeats > _MOST_REPEATS or _REPEATED.search(pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def read_start(path: Path, model: Any, base: str, lora: LoraSpec) -> LoraMatrices:
    """A saved adapter that training is to continue, in float32.

    Raises:
        LampbenchError: as in `read_adapter`, or its shape is not that of `lora`.
    """
    found = read_adapter(path, model, base)
    found.require_shape(lora, model)
    return {name: (a.float(), b.float()) for name, (a, b) in found.matrices.items()}


def write_adapter(folder: Path, config: Any, matrices: LoraMatrices) -> None:
    """Save an adapter; `folder` appears when it is complete and replaces what was there.

    The same adapter gives the same bytes.

    Raises:
        FullDisk: the disk is full.
    """
    tensors = {
        f"{_PREFIX}{name}{suffix}": tensor
        for name, pair in sorted(matrices.items())
        for suffix, tensor in zip(_SUFFIXES, pair, strict=True)
    }
    write_tensors(folder, config.to_dict(), tensors)


def write_tensors(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Save an adapter of any kind, as `write_adapter` does.

    Raises:
        FullDisk: the disk is full.
    """
    from safetensors.torch import save

    staged = folder.with_name(f"{folder.name}.staged-{os.getpid()}")
    shutil.rmtree(staged, ignore_errors=True)
    tensors = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
    # save_file would report a full disk as an error that is no OSError
    weights = save(tensors, metadata={"format": "pt"})
    values = {
        name: sorted(value) if isinstance(value, set) else value for name, value in config.items()
    }
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    with writing(folder, len(weights) + len(text)):
        staged.mkdir(parents=True)
        (staged / "adapter_model.safetensors").write_bytes(weights)
        (staged / "adapter_config.json").write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        staged.rename(folder)


def _require_base(path: Path, recorded: str, base: str) -> None:
    """Compare the base models' names if both are hub ids.

    Folders move; for them, only the shapes of the layers are checked.
    """
    hub = [name for name in (recorded, base) if name and not Path(name).is_absolute()]
    is_folder = os.path.exists(recorded)  # noqa: PTH110 (of any text, however long)
    if len(hub) == 2 and recorded != base and not is_folder:
        raise LampbenchError(
            f"adapter {path} was made for {short_repr(recorded)}, not for {base}; if they are the "
            "same model, "
            "change base_model_name_or_path in its adapter_config.json"
        )


def _layer_matrices(
    path: Path, name: str, tensors: Mapping[str, Any], model: Any
) -> tuple[Any, Any]:
    """A and B of one layer, checked against the model's layer of that name."""
    first, second = (tensors.get(f"{_PREFIX}{name}{suffix}") for suffix in _SUFFIXES)
    if first is None or second is None:
        raise LampbenchError(f"{path}: the adapter has only half of {name}; train it again")
    try:
        layer = model.get_submodule(name)
        inputs, outputs = int(layer.in_features), int(layer.out_features)
    except AttributeError as error:
        raise LampbenchError(
            f"adapter {path} was made for another model: {model.name_or_path} has no layer {name}; "
            "train it again"
        ) from error
    if layer is model.get_output_embeddings():
        raise LampbenchError(
            f"adapter {path} sits on {name}, the output layer, which is not supported; "
            "train it again without it"
        )
    shapes = (first.shape[1], second.shape[0], first.shape[0])
    if shapes != (inputs, outputs, second.shape[1]):
        raise LampbenchError(
            f"adapter {path} was made for another model: its {name} maps {shapes[0]} to "
            f"{shapes[1]}, that of {model.name_or_path} {inputs} to {outputs}; train it again"
        )
    return first, second
