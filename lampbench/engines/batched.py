"""The default engine: many users per forward pass."""

from collections.abc import Mapping
from typing import ClassVar

from lampbench.engine.capability import ADAPTERS, EVERYTHING, Capability
from lampbench.engine.engine_argument import EngineArgument
from lampbench.engine.engine_plugin import EnginePlugin, EngineSetup, register_engine
from lampbench.engine.protocol import Engine
from lampbench.engines.reference import Reference
from lampbench.util.errors import LampbenchError

_NOT_STACKED = frozenset(ADAPTERS.values()) - {Capability.LORA}


@register_engine("batched")
class Batched(EnginePlugin):
    """Serves and trains plain LoRAs of many users per forward pass.

    Adapters of other kinds go through the reference engine, one user at a time.
    """

    summary = "many users per forward pass, in this process; the default"
    capabilities = EVERYTHING
    batch_invariant: ClassVar = True
    arguments: ClassVar[tuple[EngineArgument, ...]] = (
        EngineArgument(
            "step",
            str,
            "a decoding step: as it comes, in static shapes, or replayed as a CUDA graph, which is "
            "the default on CUDA; elsewhere it is exact",
            keyed=False,  # like the batch size: no token changes in float32
            choices=("exact", "static", "graph"),
        ),
        EngineArgument(
            "batch_invariant",
            bool,
            "true: in any precision no result depends on the other requests; a CPU only",
        ),
    )

    def identity(self, setup: EngineSetup) -> Mapping[str, str]:
        """Nothing: keys that name no engine are the default engine's.

        A subclass names itself, and so does `batch_invariant`, which rounds in another way.
        """
        plain = type(self) is Batched and not setup.arguments.get("batch_invariant")
        return {} if plain else super().identity(setup)

    def passes_on(self, needed: frozenset[Capability]) -> Mapping[str, str]:
        """The reference engine's version for adapters of other kinds than LoRA."""
        return {Reference.name: Reference.version} if needed & _NOT_STACKED else {}

    def check_options(self, setup: EngineSetup) -> None:
        """Also make sure that batch invariance is not asked together with what excludes it."""
        super().check_options(setup)
        if setup.arguments.get("batch_invariant"):
            _require_invariant(setup)

    def check(self, setup: EngineSetup) -> None:
        """Also make sure that the device can carry out steps of the asked kind, and that no row of
        the model would depend on the others.
        """
        super().check(setup)
        from lampbench.engine.batched.supported_model import require_supported_files

        require_supported_files(setup.model, setup.model_arguments)
        if setup.arguments.get("batch_invariant"):
            _require_cpu(setup)
        if setup.arguments.get("step") == "graph":
            from lampbench.engine.batched.step_kinds import require_step_kind
            from lampbench.engine.load_model import choose_device

            require_step_kind("graph", choose_device(setup.device))

    def open(self, setup: EngineSetup) -> Engine:
        """The batched engine, with the reference engine behind it for other kinds of adapter."""
        from lampbench.engine.batched.engine import BatchedEngine
        from lampbench.engine.divided_engine import DividedEngine
        from lampbench.engine.reference.engine import ReferenceEngine

        spec = setup.local_model()
        options = {
            "device": setup.device,
            "dtype": setup.dtype,
            "chat_template": setup.chat_template,
            "fidelity": setup.fidelity,
            "arguments": setup.model_arguments,
        }
        batched = BatchedEngine(
            spec,
            batch_size=setup.batch_size,
            say=setup.say,
            step=setup.arguments.get("step"),
            batch_invariant=bool(setup.arguments.get("batch_invariant")),
            **options,  # type: ignore[arg-type]
        )
        return DividedEngine(batched, lambda: ReferenceEngine(spec, **options), setup.say)  # type: ignore[arg-type]


def _require_invariant(setup: EngineSetup) -> None:
    """Make sure that no option of a setup excludes batch invariance.

    Raises:
        LampbenchError: one does.
    """
    step, quantized = setup.arguments.get("step"), setup.model_arguments.quantization
    for wrong, remedy in (
        (
            step not in (None, "exact"),
            f"it has steps of its own; leave out --engine-arg step={step}",
        ),
        (quantized is not None, "it needs unquantised weights; leave out quantization"),
    ):
        if wrong:
            raise LampbenchError(f"--engine-arg batch_invariant=true: {remedy}")


def _require_cpu(setup: EngineSetup) -> None:
    """Make sure that the model runs on a CPU.

    Raises:
        LampbenchError: it does not.
    """
    from lampbench.engine.load_model import choose_device

    if (device := choose_device(setup.device)).type != "cpu":
        raise LampbenchError(
            "--engine-arg batch_invariant=true: it needs a CPU, and the device is "
            f"{device}; give --device cpu"
        )
