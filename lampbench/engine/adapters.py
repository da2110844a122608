"""LoRA adapters on one frozen model, in PEFT's format: loaded, stacked, trained, saved."""

import contextlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from lampbench.engine.protocol import LoraSpec, Weights
from lampbench.errors import LampbenchError
from lampbench.hashing import digest

TRAINED = "trained"
_RESIDENT = 8


class Adapters:
    """The adapters of one model. Those used last stay in memory, at most `_RESIDENT`.

    A stack (tam, user) is the sum of both LoRAs on the frozen weights: the same function as
    merging TAM first, without changing the weights that everybody shares.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._resident: OrderedDict[str, None] = OrderedDict()
        self._active: list[str] | None = None

    def activate(self, weights: Weights) -> None:
        """Let the model answer with this stack from here on."""
        self._switch([self._load(path) for path in weights])

    @contextlib.contextmanager
    def in_training(
        self, frozen: Weights, lora: LoraSpec, start: Path | None, seed: int
    ) -> Iterator[dict[str, Any]]:
        """A trainable adapter called TRAINED on top of `frozen`: new, or a copy of `start`.

        Yields its parameters by name, in float32; afterwards it is gone. New ones are initialised from `seed` alone: A uniform
        as PEFT does it, B zero.
        """
        from peft import LoraConfig, inject_adapter_in_model

        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=self._targets(lora.targets),
            task_type="CAUSAL_LM",
        )
        with torch.random.fork_rng(devices=self._cuda()):
            torch.manual_seed(seed)
            inject_adapter_in_model(config, self._model, adapter_name=TRAINED)
        try:
            if start is not None:
                self._fill(TRAINED, start)
            self._switch([*(self._load(path) for path in frozen), TRAINED])
            self._model.requires_grad_(False)
            state = self._state(TRAINED)
            for parameter in state.values():
                parameter.data = parameter.data.float()
                parameter.requires_grad_(True)
            yield state
        finally:
            self._remove(TRAINED)
            self._switch([])

    def save(self, folder: Path, lora: LoraSpec, base: str) -> None:
        """Write the TRAINED adapter as PEFT does; the folder appears when it is whole."""
        from peft import LoraConfig
        from peft.utils import get_peft_model_state_dict
        from safetensors.torch import save_file

        state = get_peft_model_state_dict(
            self._model, state_dict=self._state(TRAINED), adapter_name=TRAINED
        )
        tensors = {
            f"base_model.model.{name}": value.detach().cpu().contiguous()
            for name, value in sorted(state.items())
        }
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            target_modules=self._targets(lora.targets),
            task_type="CAUSAL_LM",
            base_model_name_or_path=base,
            inference_mode=True,
        )
        staged = folder.with_name(folder.name + ".staged")
        staged.mkdir(parents=True, exist_ok=True)
        save_file(tensors, staged / "adapter_model.safetensors", metadata={"format": "pt"})
        config.save_pretrained(str(staged))
        staged.rename(folder)

    def _load(self, path: Path) -> str:
        """The name under which an adapter's folder is loaded, loading it where needed."""
        from peft import LoraConfig, inject_adapter_in_model

        name = f"adapter_{digest(str(path.resolve()))}"
        if name not in self._resident:
            config = LoraConfig.from_pretrained(str(path)) if self._is_lora(path) else None
            assert config is not None
            config.inference_mode = True
            self._active = None
            try:
                inject_adapter_in_model(config, self._model, adapter_name=name)
                self._fill(name, path)
            except (ValueError, RuntimeError, KeyError) as error:
                self._remove(name)
                cause = " ".join(str(error).split())[:200]
                raise LampbenchError(
                    f"adapter {path} does not fit the model {self._model.name_or_path}: {cause}"
                ) from error
        self._resident[name] = None
        self._resident.move_to_end(name)
        while len(self._resident) > _RESIDENT:
            self._remove(self._resident.popitem(last=False)[0])
        return name

    @staticmethod
    def _is_lora(path: Path) -> bool:
        """Whether the folder holds a LoRA adapter; an error that says what it lacks, if not."""
        try:
            kind = json.loads((path / "adapter_config.json").read_text("utf-8"))["peft_type"]
        except (OSError, ValueError, KeyError) as error:
            raise LampbenchError(f"{path}: no adapter in PEFT's format there ({error})") from error
        if kind != "LORA":
            raise LampbenchError(f"{path}: an adapter of type {kind}; only LORA is supported")
        return True

    def _fill(self, name: str, path: Path) -> None:
        """Copy a saved adapter's tensors into the injected one called `name`."""
        from peft.utils import set_peft_model_state_dict
        from safetensors.torch import load_file

        tensors = load_file(path / "adapter_model.safetensors")
        state = {key.removeprefix("base_model.model."): value for key, value in tensors.items()}
        here = {key.replace(f".{name}.", "."): value for key, value in self._state(name).items()}
        if here.keys() != state.keys():
            odd = sorted(here.keys() ^ state.keys())
            raise LampbenchError(
                f"adapter {path} was made for other layers than it is loaded into "
                f"({len(odd)} tensors do not match, first {odd[0]})"
            )
        for key, value in state.items():
            if here[key].shape != value.shape:
                raise LampbenchError(
                    f"adapter {path}: {key} has shape {tuple(value.shape)}, the model asks for "
                    f"{tuple(here[key].shape)}: it is of another rank or base model"
                )
        set_peft_model_state_dict(self._model, state, adapter_name=name)

    def _state(self, name: str) -> dict[str, Any]:
        return {key: p for key, p in self._model.named_parameters() if f".{name}." in key}

    def _layers(self) -> Iterator[Any]:
        from peft.tuners.tuners_utils import BaseTunerLayer

        return (module for module in self._model.modules() if isinstance(module, BaseTunerLayer))

    def _switch(self, names: list[str]) -> None:
        if names == self._active:
            return
        for layer in self._layers():
            present = [name for name in names if name in layer.lora_A]
            layer.enable_adapters(bool(present))
            if present:
                layer.set_adapter(present)
        self._active = names

    def _remove(self, name: str) -> None:
        for layer in self._layers():
            if name in getattr(layer, "lora_A", ()):
                layer.delete_adapter(name)
        getattr(self._model, "peft_config", {}).pop(name, None)
        self._active = None

    def _targets(self, targets: Sequence[str]) -> str:
        """The named layers of the decoder; those of a vision tower are left alone."""
        names = "|".join(targets)
        return rf"(?!.*(vision|visual|multi_modal)).*\.({names})"

    def _cuda(self) -> list[int]:
        return list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
