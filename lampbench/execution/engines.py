"""What a run asks of its engines, whatever hands them out."""

from typing import Any, Protocol

from lampbench.engine.models import ModelSpec
from lampbench.engine.pool import EngineOptions
from lampbench.engine.protocol import Engine
from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.execution.keys import ModelIdentities


class Engines(ModelIdentities, Protocol):
    """Hands out the engine of a model, opening it when first asked.

    `engine` is an engine's name, None for the run's own.
    """

    options: EngineOptions

    def model(self, model: str, engine: str | None = None) -> ModelSpec:
        """A model by its name.

        Raises:
            LampbenchError: there is no such model.
        """
        ...

    def revision(self, model: str, engine: str | None = None) -> str | None:
        """A model's commit, or what else an engine knows it by; None for neither."""
        ...

    def device(self, model: str, engine: str | None = None) -> str:
        """Where a model runs."""
        ...

    def dtype(self, model: str, engine: str | None = None) -> str:
        """Precision of a model's weights and activations."""
        ...

    def chat_template(self, model: str, engine: str | None = None) -> str | None:
        """Name of a model's chat template, or None for the tokenizer's own."""
        ...

    def arguments(self) -> dict[str, Any]:
        """How models are loaded: what was given of `--model-arg`, by name."""
        ...

    def prices(self, model: str, engine: str | None = None) -> tuple[float, float] | None:
        """What a million tokens read and written cost; None where it is not known or nothing."""
        ...

    def server(self, model: str, engine: str | None = None) -> ServerConfiguration | None:
        """What a server that was joined told of itself; None where none answers."""
        ...

    def reads_model_files(self, engine: str | None = None) -> bool:
        """Whether an engine reads the model's files; if not, the model is elsewhere."""
        ...

    def keyed_arguments(self, engine: str) -> frozenset[str]:
        """The names of an engine's arguments that may change an answer."""
        ...

    def argument(self, engine: str, name: str) -> Any:
        """An engine's argument as given, or its default; None where it has none of the name."""
        ...

    def batching(self, model: str, engine: str | None = None) -> dict[str, int]:
        """The most that a pass of a model's engine holds, by name of the bound."""
        ...

    def get(self, model: str, engine: str | None = None) -> Engine:
        """An engine of a model, by the model's name."""
        ...

    def close(self) -> None:
        """Close every engine that is open; they are opened again when they are asked for."""
        ...
