"""A copy of a model with adapters on it, through PEFT: all but the last merged, as OPPU trains."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lampbench.engine.adapter_files import (
    file_signature,
    read_adapter,
    read_start,
    write_adapter,
)
from lampbench.engine.lora_init import initial_matrices, peft_config
from lampbench.engine.protocol import TrainJob, Weights
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.engine.reference.dropout import SeededDropout
from lampbench.engine.reference.random_state import seeded

OWN_ADAPTER = "user"  # PEFT's name for the adapter that is not merged


class AdaptedModel:
    """A copy of `pristine`, which was loaded from `base`, with one set of adapters at a time.

    All adapters but the last are merged into its weights; the last one stays a LoRA of PEFT. It is
    built again only when other adapters are asked for.
    """

    def __init__(self, pristine: Any, base: str) -> None:
        self._pristine, self._base = pristine, base
        self._merged: Any = None  # signatures of the adapters in the weights
        self._plain: Any = None
        self._applied: Any = None  # signatures of all adapters of the last `with_adapters`
        self._model: Any = None

    def with_adapters(self, weights: Weights) -> Any:
        """The copy with these adapters, for inference.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        from peft import PeftModel

        frozen, last = weights[:-1], weights[-1:]
        wanted = [file_signature(path) for path in weights]
        if self._applied != wanted:
            plain = self._with_merged(frozen)
            self._model = plain
            if last:
                self._check(last[0])
                with self._random_state_kept():
                    self._model = PeftModel.from_pretrained(
                        plain, str(last[0]), adapter_name=OWN_ADAPTER
                    )
            self._model.eval()
            self._applied = wanted
        return self._model

    def trainable(self, job: TrainJob) -> Any:
        """The copy with the adapter that the job trains: a new one, or `job.start`.

        Raises:
            LampbenchError: an adapter is missing, damaged, made for another model, or `job.start`
                has another shape than `job.lora`.
        """
        from peft import get_peft_model

        if job.start is None:
            matrices = initial_matrices(self._pristine, job.lora, job.seed)
        else:
            matrices = read_start(job.start, self._pristine, self._base, job.lora)
        plain = self._with_merged(job.frozen)
        config = peft_config(plain, job.lora, self._base)
        config.inference_mode = False
        with self._random_state_kept():
            self._model = get_peft_model(plain, config, adapter_name=OWN_ADAPTER)
        for name, pair in matrices.items():
            layer = self._model.base_model.model.get_submodule(name)
            layer.lora_dropout[OWN_ADAPTER] = SeededDropout(name)
            for module, matrix in zip((layer.lora_A, layer.lora_B), pair, strict=True):
                module[OWN_ADAPTER].weight.data = matrix.float().to(plain.device)
        return self._model

    def save(self, job: TrainJob) -> None:
        """Write the trained adapter in PEFT's format."""
        plain = self._model.base_model.model
        names = initial_matrices(self._pristine, job.lora, job.seed)
        layers = {name: plain.get_submodule(name) for name in names}
        matrices = {
            name: (layer.lora_A[OWN_ADAPTER].weight, layer.lora_B[OWN_ADAPTER].weight)
            for name, layer in layers.items()
        }
        write_adapter(job.output, peft_config(plain, job.lora, self._base), matrices)

    def _with_merged(self, weights: Weights) -> Any:
        """The copy with adapters merged into its weights; built anew when they are others."""
        from peft import PeftModel

        if self._model is not self._plain:  # take the last user's LoRA off again
            self._plain = self._model.unload()
        self._applied, self._model = None, self._plain
        wanted = [file_signature(path) for path in weights]
        if wanted != self._merged:
            self._merged = None
            self._plain = copy.deepcopy(self._pristine)
            for path in weights:
                self._check(path)
                with self._random_state_kept():
                    adapted = PeftModel.from_pretrained(self._plain, str(path))
                self._plain = adapted.merge_and_unload()
            self._merged, self._model = wanted, self._plain
        return self._plain

    @contextmanager
    def _random_state_kept(self) -> Iterator[None]:
        """PEFT draws initial values that are then overwritten; no random numbers depend on them.

        Its notices are kept out of the output.
        """
        with quiet_libraries(), seeded(0, self._pristine.device):
            yield

    def _check(self, path: Path) -> None:
        read_adapter(path, self._pristine, self._base)
