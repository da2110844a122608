"""The engines of a run: one a model, loaded when first asked for."""

import gc
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lampbench.core.fidelity import Fidelity
from lampbench.engine.models import fingerprint, resolve_model
from lampbench.engine.protocol import Engine

if TYPE_CHECKING:
    from lampbench.util.progress import Progress


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How models are executed; None leaves a choice to the model or the machine.

    `chat_template` names a chat template of the paper's Appendix D instead of the tokenizer's own;
    `batch_size` bounds the rows of a decoding step. `engine` is "batched", which serves many users
    per forward pass, or "reference", one at a time.
    """

    device: str | None = None
    dtype: str | None = None
    chat_template: str | None = None
    batch_size: int | None = None
    engine: str = "batched"


@dataclass
class EnginePool:
    """Engines by model name. Knows what identifies a model without loading it.

    One engine is in memory at a time: a second model (the writer of PAG's profiles, or the next
    of several) takes the first one's place.
    """

    options: EngineOptions
    fidelity: Fidelity
    cache: Path
    progress: "Progress"
    _engines: dict[str, Engine] = field(default_factory=dict)
    _identities: dict[str, dict[str, Any]] = field(default_factory=dict)

    def get(self, name: str) -> Engine:
        """The engine of a model; loads it the first time."""
        if name not in self._engines:
            self._unload()
            self._engines[name] = self._load(name)
        return self._engines[name]

    def _load(self, name: str) -> Engine:
        given: dict[str, Any] = {
            "device": self.options.device,
            "dtype": self.dtype(name),
            "chat_template": self.chat_template(name),
            "fidelity": self.fidelity,
        }
        if self.options.engine == "reference":
            from lampbench.engine.reference import ReferenceEngine

            return ReferenceEngine(resolve_model(name), **given)
        from lampbench.engine.batched.engine import BatchedEngine

        return BatchedEngine(resolve_model(name), batch_size=self.options.batch_size, **given)

    def _unload(self) -> None:
        if not self._engines:
            return
        self._engines.clear()
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def identity(self, name: str) -> dict[str, Any]:
        """Weights, precision and chat template: what the model's answers depend on."""
        if name not in self._identities:
            self._identities[name] = {
                "fingerprint": fingerprint(resolve_model(name), self.cache),
                "dtype": self.dtype(name),
                "chat_template": self.chat_template(name),
            }
            if self.options.engine != "batched":  # equal up to rounding and dropout's draws
                self._identities[name]["engine"] = self.options.engine
        return self._identities[name]

    def dtype(self, name: str) -> str:
        """The precision of weights and activations."""
        return self.options.dtype or resolve_model(name).dtype

    def chat_template(self, name: str) -> str | None:
        """The chat template's name, or None for the tokenizer's own."""
        return self.options.chat_template or resolve_model(name).chat_template

    def device(self, name: str) -> str:
        """The device of a loaded engine, or what was asked for."""
        engine = self._engines.get(name)
        return str(getattr(engine, "device", self.options.device or "auto"))
