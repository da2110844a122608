"""The Engine plugin kind: what carries out a run's generating, scoring and training."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from lampbench.core.fidelity import Fidelity
from lampbench.core.precision import PRECISIONS
from lampbench.core.registration import mark
from lampbench.engine.capability import Capability
from lampbench.engine.chat_template import load_chat_template, paper_chat_template
from lampbench.engine.check_targets import require_targets
from lampbench.engine.engine_argument import EngineArgument, keyed_values
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments, require_quantizer
from lampbench.engine.model_config import (
    context_length,
    model_type,
    quantization_method,
    require_weights,
)
from lampbench.engine.model_files import commit_of, fingerprint
from lampbench.engine.models import ModelSpec, resolve_model
from lampbench.engine.packaged_model import ArtifactStore, converted
from lampbench.engine.protocol import Engine
from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetup:
    """What an engine is told when it is opened, or asked about itself.

    Attributes:
        model: where the model is, as `EnginePlugin.model` found it.
        dtype: precision of weights and activations.
        fidelity: the run's fidelity switches, which change how prompts are encoded.
        store: keeps artifacts that an engine makes of a model; `store.root` is the cache's folder.
        say: takes messages for the user.
        device: "cpu", "cuda", "mps" or None for the best there is.
        chat_template: one of lampbench's chat templates; None is the tokenizer's own.
        batch_size: most rows of a decoding step; None leaves it to the engine.
        model_arguments: how the model's files are loaded (`--model-arg`).
        arguments: the engine's own arguments by name (`--engine-arg`), checked, with defaults.
    """

    model: ModelSpec
    dtype: str
    fidelity: Fidelity
    store: ArtifactStore
    say: Callable[[str], object]
    device: str | None = None
    chat_template: str | None = None
    batch_size: int | None = None
    model_arguments: ModelArguments = NOTHING_GIVEN
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def local_model(self) -> ModelSpec:
        """The model as a folder or hub id: one that comes in a package is converted first.

        Raises:
            LampbenchError: the model's package is missing.
        """
        return converted(self.model, self.store)


class EnginePlugin(ABC):
    """An engine that can be chosen by name: what it is, what it can do, and how it is opened.

    A subclass declares the class attributes below and implements `open`. Its other methods suit an
    engine that loads the model's files in this process; one that does not (a server, an API)
    overrides those that do not fit. None of them but `open` may load a model, and importing the
    plugin's file must not import torch.

    Attributes:
        name: as in `--engine NAME`; set by `register_engine`.
        summary: one line for `lampbench engines`.
        capabilities: what it can do. A plan that needs more is refused before it runs, and so is a
            request.
        batch_invariant: whether no result in float32 depends on the other requests in the call.
        arguments: what can be given as `--engine-arg KEY=VALUE` or in the table [engine.NAME].
        version: goes into keys; raise it when the engine's results change. The text of the file of
            an engine that is not built in goes into keys by itself.
        reads_model_files: whether the model is a folder or on the hub. If not, `--model` takes any
            name, and what is known of the model comes from this class alone.
        ignored: options of `EngineSetup` that it has no use for ("device", "dtype",
            "chat_template", "batch_size", "model_arguments"), each with the reason. One that no
            engine of a run uses is refused.
        in_one_process: whether a command must not divide its users among processes, because the
            engine keeps an account of them all.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    batch_invariant: ClassVar[bool] = False
    arguments: ClassVar[tuple[EngineArgument, ...]] = ()
    version: ClassVar[str] = "1"
    reads_model_files: ClassVar[bool] = True
    ignored: ClassVar[Mapping[str, str]] = {}
    in_one_process: ClassVar[bool] = False

    @abstractmethod
    def open(self, setup: EngineSetup) -> Engine:
        """The engine of a model, ready for requests.

        Raises:
            LampbenchError: it cannot be opened; the message says how to mend that.
        """

    def close(self, engine: Engine) -> None:
        """Give back what `open` took and Python does not free by itself, such as a server.

        Called once for each opened engine: before another model is loaded, at the end of the
        command, and after an error or an interruption.
        """
        return

    def missing(self) -> tuple[str, ...]:
        """What is not installed here, each with its remedy; () if the engine can be used."""
        return ()

    def missing_with(self, setup: EngineSetup) -> tuple[str, ...]:
        """As `missing`, with these arguments: they may name another environment, or a server."""
        return self.missing()

    def model(self, name: str) -> ModelSpec:
        """The model of that name.

        Raises:
            LampbenchError: there is none.
        """
        return resolve_model(name) if self.reads_model_files else ModelSpec(name, name, dtype="")

    def able(self, setup: EngineSetup) -> frozenset[Capability]:
        """What it can do with this setup; fewer than `capabilities` where arguments decide it."""
        return self.capabilities

    def identity(self, setup: EngineSetup) -> Mapping[str, str]:
        """What the engine is, for keys and manifests: everything that may change a result and is
        neither the model nor its precision, such as the version of a server.
        """
        given = keyed_values(self.arguments, setup.arguments)
        return {"name": self.name, "version": self.version, **given}

    def server(self, setup: EngineSetup) -> ServerConfiguration | None:
        """What a server that somebody else started told of itself when `able` was asked, for
        manifests; None where none answers, or the engine knows how it runs.
        """
        return None

    def passes_on(self, needed: frozenset[Capability]) -> Mapping[str, str]:
        """The versions, by name, of other engines of this process that carry out work with these
        needs for this one; {} where it does all itself.
        """
        return {}

    def fingerprint(self, setup: EngineSetup) -> str:
        """Identifies the model: its weights, configuration and tokenizer.

        Raises:
            LampbenchError: the model's files cannot be found.
        """
        if not self.reads_model_files:
            return f"{self.name}:{setup.model.location}"
        return fingerprint(setup.model)

    def revision(self, setup: EngineSetup) -> str | None:
        """The model's commit on the hub, or a server's own version of it; None if it has none.

        Raises:
            LampbenchError: as `fingerprint`.
        """
        return commit_of(setup.model) if self.reads_model_files else None

    def context(self, setup: EngineSetup) -> int | None:
        """The model's context length in tokens; None where it is not known before it is opened."""
        return context_length(setup.model) if self.reads_model_files else None

    def prices(self, setup: EngineSetup) -> tuple[float, float] | None:
        """What a million tokens read and a million tokens written cost; None where nothing has to
        be paid, or it is not known.
        """
        return None

    def check_options(self, setup: EngineSetup) -> None:
        """Make sure that this engine takes the options of a setup, on any machine.

        Called for runs that are recorded already, too: a mistake in an option is one whether or not
        work is left. So it needs no device, no server and no file of the model.

        Raises:
            LampbenchError: an option names nothing that there is, or the engine does not take it.
        """
        if self.reads_model_files:
            check_names(setup)

    def check(self, setup: EngineSetup) -> None:
        """Make sure that the model can be run with this setup, as far as can be known cheaply.

        `check_options` has passed. Called only if the engine will be asked something.

        Raises:
            LampbenchError: what an option names is not here, or the model's files are missing.
        """
        if self.reads_model_files:
            check_model_files(setup)

    def require_targets(self, setup: EngineSetup, targets: Collection[str]) -> None:
        """Make sure that the model has linear layers of these names, as far as can be known before
        it is opened.

        Raises:
            LampbenchError: it has none of a name.
        """
        if self.reads_model_files:
            require_targets(setup.model, targets, setup.model_arguments)

    def holds_memory(self, setup: EngineSetup) -> bool:
        """Whether an opened engine takes memory of this machine, so that it is closed before
        another one is opened.
        """
        return True


def check_names(setup: EngineSetup) -> None:
    """Make sure that there are a precision and a chat template of the names in a setup.

    Raises:
        LampbenchError: there is none of a name.
    """
    if setup.dtype not in PRECISIONS:
        raise LampbenchError(
            f"no precision is called {setup.dtype!r}: there are {', '.join(PRECISIONS)}"
        )
    if setup.chat_template is not None:
        load_chat_template(setup.chat_template)


def check_model_files(setup: EngineSetup) -> None:
    """Make sure that a model's files can be loaded as a setup says, without reading weights.

    What only its weights or its tokenizer know is found when it is loaded.

    Raises:
        LampbenchError: an option names nothing that there is here, or files or what reads them are
            missing.
    """
    if setup.device is not None:  # torch is imported only to check one
        from lampbench.engine.load_model import choose_device

        choose_device(setup.device)
    given = setup.model_arguments
    if given.device_map:
        from lampbench.engine.load_model import require_device_map

        require_device_map(given.device_map)
    if given.quantization:
        require_quantizer(given.quantization)
    if setup.fidelity.split_templates and (kind := model_type(setup.model)) is not None:
        paper_chat_template(kind)
    if setup.model.folder is not None:
        require_weights(setup.model.folder)
    quantization_method(setup.model)


def require_installed(plugin: EnginePlugin, setup: EngineSetup) -> None:
    """Make sure that what an engine needs with a setup is installed here.

    Raises:
        LampbenchError: something is missing; the message says what, and how to get it.
    """
    if missing := plugin.missing_with(setup):
        raise LampbenchError(f"engine {plugin.name} cannot be used here: {'; '.join(missing)}")


E = TypeVar("E", bound=type[EnginePlugin])


def register_engine(name: str) -> Callable[[E], E]:
    """Class decorator: register an engine under `name`."""

    def decorate(kind: E) -> E:
        mark(kind, "engine", name)
        return kind

    return decorate
