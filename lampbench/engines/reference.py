"""The engine that the others are checked against: one user at a time."""

from typing import ClassVar

from lampbench.engine.capability import EVERYTHING
from lampbench.engine.engine_plugin import (
    EnginePlugin,
    EngineSetup,
    register_engine,
)
from lampbench.engine.protocol import Engine
from lampbench.util.errors import LampbenchError


@register_engine("reference")
class Reference(EnginePlugin):
    """transformers' generate, PEFT and trl, one user at a time."""

    summary = "transformers' generate, PEFT and trl, one user at a time; slow, for checking"
    version: ClassVar = "2"  # 2: of these libraries' own loops
    capabilities = EVERYTHING
    batch_invariant: ClassVar = True
    ignored: ClassVar = {"batch_size": "it answers one query at a time"}

    def check_options(self, setup: EngineSetup) -> None:
        """Refuse quantised models: adapters are merged into the weights."""
        if setup.model_arguments.quantization:
            raise LampbenchError(
                "--engine reference merges adapters into the weights, which cannot be done to "
                "quantised ones; use --engine batched, or leave --model-arg quantization out"
            )
        super().check_options(setup)

    def open(self, setup: EngineSetup) -> Engine:
        """The reference engine."""
        from lampbench.engine.reference.engine import ReferenceEngine

        return ReferenceEngine(
            setup.local_model(),
            device=setup.device,
            dtype=setup.dtype,
            chat_template=setup.chat_template,
            fidelity=setup.fidelity,
            arguments=setup.model_arguments,
        )
