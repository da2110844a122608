"""The engines of a run: one per model, loaded when it is first needed."""

import gc
import sys
from dataclasses import dataclass, field
from typing import Any

from lampbench.core.fidelity import Fidelity
from lampbench.core.precision import PRECISIONS
from lampbench.engine.chat_template import load_chat_template, paper_chat_template
from lampbench.engine.divided_engine import DividedEngine
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments
from lampbench.engine.model_config import context_length, model_type, prompt_room, require_weights
from lampbench.engine.model_files import fingerprint
from lampbench.engine.models import ModelSpec, resolve_model
from lampbench.engine.packaged_model import ArtifactStore, converted
from lampbench.engine.protocol import Engine
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress

ENGINES = ("batched", "reference")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How models are run; None leaves the choice to the model or the machine.

    Attributes:
        device: "cpu", "cuda", "mps" or "auto".
        dtype: precision of weights and activations.
        chat_template: one of lampbench's chat templates instead of the tokenizer's own.
        batch_size: most rows of a decoding step.
        engine: "batched" serves many users per forward pass, "reference" one at a time.
        arguments: how models are loaded; its `dtype` and `revision` are part of other options.

    Raises:
        LampbenchError: two options contradict each other.
    """

    device: str | None = None
    dtype: str | None = None
    chat_template: str | None = None
    batch_size: int | None = None
    engine: str = "batched"
    arguments: ModelArguments = NOTHING_GIVEN

    def __post_init__(self) -> None:
        given = self.arguments
        if given.device_map and self.device:
            raise LampbenchError(
                f"--device {self.device} and --model-arg device_map={given.device_map}: give one"
            )
        if given.quantization and self.engine == "reference":
            raise LampbenchError(
                "--engine reference merges adapters into the weights, which cannot be done to "
                "quantised ones; use --engine batched, or leave --model-arg quantization out"
            )


@dataclass
class EnginePool:
    """Engines by model name; knows what identifies a model without loading it.

    One engine is in memory at a time: a second model (the writer of PAG's profiles, or the next
    one of several) replaces the first. `cache` keeps converted models.
    """

    options: EngineOptions
    fidelity: Fidelity
    cache: ArtifactStore
    progress: Progress
    _engines: dict[str, Engine] = field(default_factory=dict)
    _identities: dict[str, dict[str, Any]] = field(default_factory=dict)

    def get(self, name: str) -> Engine:
        """The engine of a model, loaded if it is not in memory.

        Raises:
            LampbenchError: the model cannot be found or loaded, or there is no such engine.
        """
        if name not in self._engines:
            self._unload()
            self._engines[name] = self._load(name)
        return self._engines[name]

    def _load(self, name: str) -> Engine:
        options: dict[str, Any] = {
            "device": self.options.device,
            "dtype": self.dtype(name),
            "chat_template": self.chat_template(name),
            "fidelity": self.fidelity,
            "arguments": self.options.arguments,
        }
        self._require_engine()
        spec = converted(resolve_model(name), self.cache)
        if self.options.engine == "batched":
            from lampbench.engine.batched.engine import BatchedEngine

            batched = BatchedEngine(
                spec,
                batch_size=self.options.batch_size,
                say=self.progress.say,
                **options,
            )
            return DividedEngine(batched, lambda: _reference(spec, options), self.progress.say)
        return _reference(spec, options)

    def _require_engine(self) -> None:
        if self.options.engine not in ENGINES:
            raise LampbenchError(_unknown("engine", self.options.engine, ENGINES))

    def require_runnable(self, name: str) -> None:
        """Make sure that a model can be run as the options say, without loading its weights.

        What only its weights or its tokenizer know is found when it is loaded.

        Raises:
            LampbenchError: an option names nothing that there is here, or the model's files are
                missing.
        """
        self._require_engine()
        if (dtype := self.dtype(name)) not in PRECISIONS:
            raise LampbenchError(_unknown("precision", dtype, PRECISIONS))
        if (template := self.chat_template(name)) is not None:
            load_chat_template(template)
        if self.options.device is not None:  # torch is imported only to check one
            from lampbench.engine.load_model import choose_device

            choose_device(self.options.device)
        spec = resolve_model(name)
        if self.fidelity.split_templates and (kind := model_type(spec)) is not None:
            paper_chat_template(kind)
        if spec.folder is not None:
            require_weights(spec.folder)

    def require_room(self, name: str, new_tokens: int, request: str) -> None:
        """Make sure that a model's context has room for a prompt beside `new_tokens`.

        Raises:
            LampbenchError: it has none; the message begins with `request`.
        """
        if (context := context_length(resolve_model(name))) is not None:
            prompt_room(context, new_tokens, request)

    def _unload(self) -> None:
        if not self._engines:
            return
        self._engines.clear()
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def identity(self, name: str) -> dict[str, Any]:
        """What a model's answers depend on: weights, precision, chat template, loading.

        Raises:
            LampbenchError: the model cannot be found.
        """
        if name not in self._identities:
            self._identities[name] = {
                "fingerprint": fingerprint(resolve_model(name)),
                "dtype": self.dtype(name),
                "chat_template": self.chat_template(name),
            }
            if changes := self.options.arguments.changes():
                self._identities[name]["arguments"] = changes
            if self.options.engine != "batched":  # equal up to rounding
                self._identities[name]["engine"] = self.options.engine
        return self._identities[name]

    def arguments(self) -> dict[str, Any]:
        """How models are loaded: the arguments that were given, by name."""
        return self.options.arguments.given()

    def dtype(self, name: str) -> str:
        """Precision of a model's weights and activations."""
        return self.options.dtype or resolve_model(name).dtype

    def chat_template(self, name: str) -> str | None:
        """Name of a model's chat template, or None for the tokenizer's own."""
        return self.options.chat_template or resolve_model(name).chat_template

    def batching(self, name: str) -> dict[str, int]:
        """The most that a pass of a model's engine holds; empty if it is not loaded or batched."""
        return dict(getattr(self._engines.get(name), "batching", {}))

    def device(self, name: str) -> str:
        """Device of a loaded engine; of one that is not loaded, what was asked for."""
        engine = self._engines.get(name)
        return str(getattr(engine, "device", self.options.device or "auto"))


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    return f"no {kind} is called {name!r}: there are {', '.join(known)}"


def _reference(spec: ModelSpec, options: dict[str, Any]) -> Engine:
    from lampbench.engine.reference.engine import ReferenceEngine

    return ReferenceEngine(spec, **options)
