"""A copy of a model with adapters of any kind: LoRAs below, and the kinds of PEFT on top."""

from typing import Any

from lampbench.engine.adapter_files import file_signature, write_tensors
from lampbench.engine.adapter_kind import adapter_kind, trained_kind
from lampbench.engine.layer_names import require_layers
from lampbench.engine.lora_init import linear_layers
from lampbench.engine.protocol import (
    AdapterSpec,
    DoraSpec,
    GateSpec,
    IA3Spec,
    LoraSpec,
    PrefixSpec,
    SoftPromptSpec,
    TrainJob,
    Weights,
)
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.engine.reference.adapted_model import OWN_ADAPTER, AdaptedModel
from lampbench.engine.reference.gates import GatedModel
from lampbench.engine.reference.random_state import seeded
from lampbench.engine.reference.steering import steered
from lampbench.engine.reference.virtual_tokens import VirtualTokens
from lampbench.util.errors import LampbenchError

_NAME = "default"  # PEFT's name for the adapter, which then has no place in its file names
_VIRTUAL = ("PREFIX_TUNING", "PROMPT_TUNING")


class AnyAdaptedModel(AdaptedModel):
    """As `AdaptedModel`, but the last adapter may be of any kind; those below it are LoRAs."""

    def with_adapters(self, weights: Weights) -> Any:
        """The copy with these adapters, for inference."""
        kind = adapter_kind(weights[-1]) if weights else "LORA"
        if kind == "LORA":
            return super().with_adapters(weights)
        wanted = [file_signature(path) for path in weights]
        if self._applied != wanted:
            plain = self._with_merged(weights[:-1])
            self._model = self._loaded(kind, plain, weights[-1])
            self._model.eval()
            self._applied = wanted
        return self._model

    def trainable(self, job: TrainJob) -> Any:
        """The copy with the adapter that the job trains, a model of PEFT."""
        if isinstance(job.adapter, LoraSpec):
            return super().trainable(job)
        from peft import get_peft_model

        if job.start is not None:
            raise LampbenchError(
                f"{job.id}: only a LoRA can be continued, not a {trained_kind(job.adapter)}"
            )
        if isinstance(job.adapter, GateSpec):
            return self._gated(job).tuned
        plain = self._with_merged(job.frozen)
        with seeded(job.seed, self._pristine.device), quiet_libraries():
            tuned = get_peft_model(plain, _config(plain, job.adapter, self._base), _NAME)
        virtual = trained_kind(job.adapter) in _VIRTUAL
        self._model = VirtualTokens(tuned, plain) if virtual else tuned
        return tuned

    def save(self, job: TrainJob) -> None:
        """Write the trained adapter in PEFT's format."""
        if isinstance(job.adapter, LoraSpec):
            super().save(job)
            return
        if isinstance(self._model, GatedModel):
            self._model.save(job.output)
            return
        from peft import get_peft_model_state_dict

        tuned = getattr(self._model, "tuned", self._model)
        config = tuned.peft_config[_NAME].to_dict() | {"inference_mode": True}
        write_tensors(job.output, config, get_peft_model_state_dict(tuned, adapter_name=_NAME))

    def merged(self, weights: Weights) -> Any:
        """The plain model with all these adapters merged into its weights.

        Raises:
            LampbenchError: an adapter is missing, damaged, made for another model or no LoRA.
        """
        return self._with_merged(weights).eval()

    def _gated(self, job: TrainJob) -> GatedModel:
        if not job.frozen or adapter_kind(job.frozen[-1]) != "LORA":
            raise LampbenchError(f"{job.id}: gates need a LoRA to sit on, last in `frozen`")
        tuned = self.with_adapters(job.frozen)
        gated = GatedModel(tuned, OWN_ADAPTER).eval()
        self._model, self._applied = gated, None
        return gated

    def _loaded(self, kind: str, plain: Any, path: Any) -> Any:
        from peft import PeftModel

        if kind == "STEERING":
            return steered(plain, path)
        try:
            with self._random_state_kept():
                tuned = PeftModel.from_pretrained(plain, str(path), adapter_name=_NAME)
        except Exception as error:  # whatever a damaged file makes the libraries raise
            self._merged = None  # PEFT may have begun to change the copy: it is made again
            cause = " ".join(str(error).split())[:200]
            raise LampbenchError(
                f"{path}: the adapter is damaged or made for another model ({cause}); train it "
                "again"
            ) from error
        return VirtualTokens(tuned, plain) if kind in _VIRTUAL else tuned


def _config(model: Any, adapter: AdapterSpec, base: str) -> Any:
    """PEFT's configuration of a new adapter.

    Raises:
        LampbenchError: a target is not a linear layer of the model.
    """
    from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig

    common: dict[str, Any] = {"task_type": "CAUSAL_LM", "base_model_name_or_path": base}
    if isinstance(adapter, PrefixSpec):
        return PrefixTuningConfig(num_virtual_tokens=adapter.length, **common)
    if isinstance(adapter, SoftPromptSpec):
        return PromptTuningConfig(
            num_virtual_tokens=adapter.length, prompt_tuning_init="SAMPLE_VOCAB", **common
        )
    assert isinstance(adapter, (DoraSpec, IA3Spec))
    kinds = {name.rpartition(".")[2] for name in linear_layers(model)}
    require_layers(model.name_or_path, adapter.targets, kinds)
    if isinstance(adapter, DoraSpec):
        return LoraConfig(
            r=adapter.rank,
            lora_alpha=adapter.alpha,
            target_modules=list(adapter.targets),
            use_dora=True,
            **common,
        )
    return IA3Config(
        target_modules=list(adapter.targets),
        feedforward_modules=[one for one in adapter.feedforward if one in adapter.targets],
        **common,
    )
