"""LoRA adapters on one frozen model: loaded, stacked, switched, trained."""

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from lampbench.engine import adapter_files
from lampbench.engine.adapter_files import AdapterFile
from lampbench.engine.loading import quiet
from lampbench.engine.protocol import LoraSpec, Weights
from lampbench.engine.randomness import seeded
from lampbench.errors import LampbenchError
from lampbench.hashing import digest

_RESIDENT = 8
_TRAINED = "trained"
_ELSEWHERE = r".*(vision|visual|multi_modal|audio).*"


class Adapters:
    """The adapters of one model. Those used last stay in memory.

    A stack (tam, user) is the sum of both LoRAs on the frozen weights: the same function as
    merging TAM first, without changing (and rounding) the weights that everybody shares. So
    switching is cheap, and the base model is always there untouched. Adapters are float32
    whatever the model's precision, in training and after it.
    """

    def __init__(self, model: Any, base: str) -> None:
        self._model = model
        self._base = base
        self._resident: OrderedDict[str, None] = OrderedDict()
        self._layers: dict[str, Any] = {}
        self._active: list[str] = []

    def load(self, *stacks: Weights) -> list[list[str]]:
        """Have stacks in memory, all of them at once; returns what `use` takes for each.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        names = [[self._load(path) for path in stack] for stack in stacks]
        used = {name for stack in names for name in stack}
        for name in [name for name in self._resident if name not in used]:
            if len(self._resident) > _RESIDENT:
                self._remove(name)
        return names

    def use(self, names: list[str]) -> None:
        """Let the model answer with a loaded stack from here on."""
        if names != self._active:
            self._activate(names)

    @contextlib.contextmanager
    def in_training(
        self, frozen: Weights, lora: LoraSpec, start: Path | None, seed: int
    ) -> Iterator["Trained"]:
        """A trainable adapter on top of `frozen`: a copy of `start`, or new; afterwards gone.

        A new one is initialised as PEFT does, A at random from `seed` alone and B zero.

        Raises:
            LampbenchError: `start` has another shape, or the model lacks a target layer.
        """
        from peft import LoraConfig

        self._require_targets(lora)
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=list(lora.targets),
            exclude_modules=_ELSEWHERE if self._has_other_towers() else None,
            task_type="CAUSAL_LM",
            base_model_name_or_path=self._base,
        )
        first = None
        if start is not None:
            first = adapter_files.read(start, self._model, self._base)
            first.require(lora)
        (stack,) = self.load(frozen)
        try:
            with seeded(seed, self._model.device):
                self._inject(_TRAINED, config)
            if first is not None:
                self._fill(_TRAINED, first)
            self.use([*stack, _TRAINED])
            pairs = self._pairs(_TRAINED)
            for parameter in (half for pair in pairs.values() for half in pair):
                parameter.requires_grad_(True)
            yield Trained(config, pairs)
        finally:
            self._remove(_TRAINED)

    def _load(self, path: Path) -> str:
        """The name under which an adapter's folder is loaded, loading it where needed."""
        name = _name(path)
        if name not in self._resident:
            found = adapter_files.read(path, self._model, self._base)
            # Its own layers by their full names: no pattern can catch a vision tower's. Whoever
            # is not trained has no dropout.
            found.config.target_modules = set(found.layers)
            found.config.exclude_modules = None
            found.config.lora_dropout = 0.0
            found.config.init_lora_weights = True
            found.config.inference_mode = True
            self._inject(name, found.config)
            self._resident[name] = None
            try:
                self._fill(name, found)
            except LampbenchError:
                self._remove(name)
                raise
        self._resident.move_to_end(name)
        return name

    def _inject(self, name: str, config: Any) -> None:
        from peft import inject_adapter_in_model
        from peft.tuners.lora import LoraLayer

        with quiet():
            inject_adapter_in_model(config, self._model, adapter_name=name)
        self._layers = {
            place: module
            for place, module in self._model.named_modules()
            if isinstance(module, LoraLayer)
        }
        for half in (half for pair in self._pairs(name).values() for half in pair):
            half.data = half.data.float()
            half.requires_grad_(False)
        self._activate(self._active)  # PEFT has switched to the new one where it put it

    def _fill(self, name: str, saved: AdapterFile) -> None:
        pairs = self._pairs(name)
        assert pairs.keys() == saved.layers.keys()
        with torch.no_grad():
            for place, pair in pairs.items():
                for half, tensor in zip(pair, saved.layers[place], strict=True):
                    if half.shape != tensor.shape:
                        raise LampbenchError(
                            f"adapter {saved.path}: {place} has rank {min(tensor.shape)}, its "
                            f"configuration says {min(half.shape)}"
                        )
                    half.copy_(tensor)

    def _pairs(self, name: str) -> dict[str, tuple[Any, Any]]:
        """A and B of an adapter by layer, in the model's order."""
        return {
            place: (layer.lora_A[name].weight, layer.lora_B[name].weight)
            for place, layer in self._layers.items()
            if name in layer.lora_A
        }

    def _activate(self, names: list[str]) -> None:
        for layer in self._layers.values():
            layer.set_adapter(names, inference_mode=True)
        self._active = names

    def _remove(self, name: str) -> None:
        if name in self._active:
            self._activate([])
        for layer in self._layers.values():
            if name in layer.lora_A:
                layer.delete_adapter(name)
        getattr(self._model, "peft_config", {}).pop(name, None)
        self._resident.pop(name, None)

    def _has_other_towers(self) -> bool:
        return any(hasattr(self._model.config, f"{kind}_config") for kind in ("vision", "audio"))

    def _require_targets(self, lora: LoraSpec) -> None:
        linear = {
            name.removesuffix(".base_layer").rpartition(".")[2]
            for name, module in self._model.named_modules()
            if isinstance(module, torch.nn.Linear) and ".lora_" not in name
        }
        if missing := sorted(set(lora.targets) - linear):
            raise LampbenchError(
                f"model {self._base} has no linear layers called {missing[0]}; it has "
                f"{', '.join(sorted(linear))}"
            )


class Trained:
    """The adapter that is being trained: its parameters, and how to save them."""

    def __init__(self, config: Any, pairs: Mapping[str, tuple[Any, Any]]) -> None:
        self._config = config
        self._pairs = pairs

    @property
    def parameters(self) -> dict[str, Any]:
        """A and B of every layer, float32, by name."""
        return {
            f"{place}.{half}": parameter
            for place, pair in self._pairs.items()
            for half, parameter in zip("AB", pair, strict=True)
        }

    def save(self, folder: Path) -> None:
        """Write the adapter in PEFT's format; `folder` appears when it is whole."""
        self._config.inference_mode = True
        adapter_files.write(folder, self._config, self._pairs)


def _name(path: Path) -> str:
    """A name for a saved adapter: another one where the files at its path are others."""
    stats = [file.stat() for file in sorted(path.glob("adapter_*"))]
    seen = [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]
    return f"adapter_{digest([str(path.resolve()), seen])}"
