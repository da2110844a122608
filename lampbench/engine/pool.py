"""The engines of a run: one per engine and model, opened when it is first needed."""

import gc
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lampbench.core.device import require_device_name
from lampbench.core.fidelity import Fidelity
from lampbench.engine.capability import Capability
from lampbench.engine.engine_argument import engine_arguments, keyed_values
from lampbench.engine.engine_plugin import EnginePlugin, EngineSetup, require_installed
from lampbench.engine.guarded_engine import GuardedEngine
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments
from lampbench.engine.model_config import prompt_room
from lampbench.engine.models import ModelSpec
from lampbench.engine.packaged_model import ArtifactStore
from lampbench.engine.protocol import Engine
from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress

DEFAULT_ENGINE = "batched"
IN_THIS_PROCESS = frozenset({DEFAULT_ENGINE, "reference"})
"""The engines of this package that ask no server: the same request has the same answer."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How models are run; None leaves the choice to the model or the machine.

    Attributes:
        device: "cpu", "cuda", "mps" or "auto".
        dtype: precision of weights and activations.
        chat_template: one of lampbench's chat templates instead of the tokenizer's own.
        batch_size: most rows of a decoding step.
        engine: the engine's name.
        arguments: how models are loaded; its `dtype` and `revision` are part of other options.
        stages: engines of single stages: by a stage's name, or by what stages do (`WORK`).
        engine_arguments: what was given to engines, by engine and argument.

    Raises:
        LampbenchError: there is no device of that name, or two options contradict each other.
    """

    device: str | None = None
    dtype: str | None = None
    chat_template: str | None = None
    batch_size: int | None = None
    engine: str = DEFAULT_ENGINE
    arguments: ModelArguments = NOTHING_GIVEN
    stages: Mapping[str, str] = field(default_factory=dict)
    engine_arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.device is not None:
            require_device_name(self.device)
        given = self.arguments
        if given.device_map and self.device:
            raise LampbenchError(
                f"--device {self.device} and --model-arg device_map={given.device_map}: give one"
            )

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of all engines that are named, the run's own first."""
        return tuple(dict.fromkeys((self.engine, *self.stages.values())))

    def given(self) -> dict[str, Any]:
        """The options that were given of those that engines may ignore, as `EngineSetup` has."""
        values = {
            "device": self.device,
            "dtype": self.dtype,
            "chat_template": self.chat_template,
            "batch_size": self.batch_size,
            "model_arguments": self.arguments if self.arguments.given() else None,
        }
        return {name: value for name, value in values.items() if value}


@dataclass
class EnginePool:
    """Opened engines by engine and model; knows what identifies both without loading a model.

    `engine` arguments of the methods name an engine, None the run's own. `plugin` finds an engine's
    plugin by name, `others_able` names the engines that can do something, and `foreign_code`
    identifies the code of an engine that is not built in. One engine that holds memory is open at a
    time: a second model (the writer of PAG's profiles, or the next one of several), or another
    engine, replaces the first. `cache` keeps converted models.
    """

    options: EngineOptions
    fidelity: Fidelity
    cache: ArtifactStore
    progress: Progress
    plugin: Callable[[str], EnginePlugin]
    others_able: Callable[[frozenset[Capability]], Sequence[str]] = lambda needed: ()
    foreign_code: Callable[[EnginePlugin], str | None] = lambda plugin: None
    _open: dict[tuple[str, str], GuardedEngine] = field(default_factory=dict)
    _setups: dict[tuple[str, str], EngineSetup] = field(default_factory=dict)
    _identities: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def get(self, model: str, engine: str | None = None) -> GuardedEngine:
        """An engine of a model, opened if it is not.

        Raises:
            LampbenchError: the model cannot be found or loaded, or the engine cannot be opened.
        """
        place = self._place(model, engine)
        if place not in self._open:
            plugin, setup = self.plugin(place[0]), self.setup(model, engine)
            require_installed(plugin, setup)
            if plugin.holds_memory(setup):
                self._make_room()
            able = plugin.able(setup)
            self._open[place] = GuardedEngine(self._load(*place), place[0], able, self.others_able)
        return self._open[place]

    def _load(self, engine: str, model: str) -> Engine:
        return self.plugin(engine).open(self.setup(model, engine))

    def close(self) -> None:
        """Close every engine that is open; they are opened again when they are asked for."""
        for place in list(self._open):
            self._close(place)

    def able(self, model: str, engine: str | None = None) -> frozenset[Capability]:
        """What an engine can do for a model, as far as is known before it is opened."""
        return self.plugin(self._place(model, engine)[0]).able(self.setup(model, engine))

    def require_used(self, engines: Iterable[str]) -> None:
        """Make sure that every option that was given is one that an engine uses.

        Raises:
            LampbenchError: none of `engines` does; the message says why.
        """
        plugins = [self.plugin(name) for name in dict.fromkeys(engines)]
        for name in self.options.given():
            if plugins and all(name in plugin.ignored for plugin in plugins):
                option = "model-arg" if name == "model_arguments" else name.replace("_", "-")
                raise LampbenchError(
                    f"--{option} does nothing with --engine {plugins[0].name}: "
                    f"{plugins[0].ignored[name]}; leave it out"
                )

    def require_options(self, model: str, engine: str | None = None) -> None:
        """Make sure that an engine takes the options, even if it will not be asked anything.

        Raises:
            LampbenchError: an option names nothing that there is, or the engine does not take it.
        """
        self.plugin(self._place(model, engine)[0]).check_options(self.setup(model, engine))

    def require_runnable(self, model: str, engine: str | None = None) -> None:
        """Make sure that a model can be run as the options say, without loading its weights.

        What only its weights or its tokenizer know is found when it is loaded.

        Raises:
            LampbenchError: an option names nothing that there is here, the model's files are
                missing, or something that the engine needs is not installed.
        """
        plugin = self.plugin(self._place(model, engine)[0])
        setup = self.setup(model, engine)
        plugin.check_options(setup)
        require_installed(plugin, setup)
        plugin.check(setup)

    def require_room(
        self, model: str, new_tokens: int, request: str, engine: str | None = None
    ) -> None:
        """Make sure that a model's context has room for a prompt beside `new_tokens`.

        Raises:
            LampbenchError: it has none; the message begins with `request`.
        """
        plugin = self.plugin(self._place(model, engine)[0])
        if (context := plugin.context(self.setup(model, engine))) is not None:
            prompt_room(context, new_tokens, request)

    def require_targets(
        self, model: str, targets: Collection[str], engine: str | None = None
    ) -> None:
        """Make sure that a model has linear layers of these names, without loading its weights.

        Raises:
            LampbenchError: it has none of a name.
        """
        plugin = self.plugin(self._place(model, engine)[0])
        plugin.require_targets(self.setup(model, engine), targets)

    def setup(self, model: str, engine: str | None = None) -> EngineSetup:
        """What an engine is told when it is opened for a model.

        Raises:
            LampbenchError: there is no such model or engine, or it has no such argument.
        """
        place = self._place(model, engine)
        if place not in self._setups:
            self._setups[place] = self._setup(*place)
        return self._setups[place]

    def _setup(self, engine: str, model: str) -> EngineSetup:
        options, plugin = self.options, self.plugin(engine)
        spec = plugin.model(model)
        given = options.engine_arguments.get(engine, {})
        told = EngineSetup(
            model=spec,
            dtype=spec.dtype,
            fidelity=self.fidelity,
            store=self.cache,
            say=self.progress.say,
            chat_template=spec.chat_template,
            arguments=engine_arguments(engine, plugin.arguments, given),
        )
        # what it ignores is another engine's, and must not seem to be its own in keys and manifests
        return replace(
            told, **{k: v for k, v in options.given().items() if k not in plugin.ignored}
        )

    def identity(
        self, model: str, engine: str | None = None, needed: frozenset[Capability] = frozenset()
    ) -> dict[str, Any]:
        """What a model's answers depend on: weights, precision, chat template, loading, engine, and
        other engines that this one passes work with these needs to.

        Raises:
            LampbenchError: the model cannot be found.
        """
        place = self._place(model, engine)
        if place not in self._identities:
            plugin, setup = self.plugin(place[0]), self.setup(model, engine)
            found: dict[str, Any] = {
                "fingerprint": plugin.fingerprint(setup),
                "dtype": setup.dtype,
                "chat_template": setup.chat_template,
            }
            if changes := setup.model_arguments.changes():
                found["arguments"] = changes
            told = dict(plugin.identity(setup))
            if (code := self.foreign_code(plugin)) is not None:
                # an inherited `identity` may leave out arguments that a subclass declares
                told = {**keyed_values(plugin.arguments, setup.arguments), **told, "code": code}
            if told:
                found["engine"] = told
            self._identities[place] = found
        passed_on = dict(self.plugin(place[0]).passes_on(needed))
        found = self._identities[place]
        return {**found, "passed_on": passed_on} if passed_on else found

    def model(self, model: str, engine: str | None = None) -> ModelSpec:
        """A model by its name, as an engine finds it.

        Raises:
            LampbenchError: there is no such model.
        """
        return self.setup(model, engine).model

    def revision(self, model: str, engine: str | None = None) -> str | None:
        """The model's commit on the hub, or what else an engine knows it by; None for neither."""
        return self.plugin(self._place(model, engine)[0]).revision(self.setup(model, engine))

    def prices(self, model: str, engine: str | None = None) -> tuple[float, float] | None:
        """What a million tokens read and written cost with an engine; None where it is not known or
        nothing.
        """
        return self.plugin(self._place(model, engine)[0]).prices(self.setup(model, engine))

    def server(self, model: str, engine: str | None = None) -> ServerConfiguration | None:
        """What a server that was joined told of itself; None where none answers."""
        return self.plugin(self._place(model, engine)[0]).server(self.setup(model, engine))

    def reads_model_files(self, engine: str | None = None) -> bool:
        """Whether an engine reads the model's files; if not, the model is elsewhere."""
        return self.plugin(engine or self.options.engine).reads_model_files

    def keyed_arguments(self, engine: str) -> frozenset[str]:
        """The names of an engine's arguments that may change an answer."""
        declared = self.plugin(engine).arguments
        return frozenset(each.name for each in declared if each.keyed)

    def argument(self, engine: str, name: str) -> Any:
        """An engine's argument as given, or its default; None where it has none of the name."""
        declared = self.plugin(engine).arguments
        given = self.options.engine_arguments.get(engine, {})
        return engine_arguments(engine, declared, given).get(name)

    def arguments(self) -> dict[str, Any]:
        """How models are loaded: the arguments that were given, by name."""
        return self.options.arguments.given()

    def dtype(self, model: str, engine: str | None = None) -> str:
        """Precision of a model's weights and activations."""
        return self.setup(model, engine).dtype

    def chat_template(self, model: str, engine: str | None = None) -> str | None:
        """Name of a model's chat template, or None for the tokenizer's own."""
        return self.setup(model, engine).chat_template

    def batching(self, model: str, engine: str | None = None) -> dict[str, int]:
        """The most that a pass of an engine holds; empty if it is not open or does not batch."""
        found = self._open.get(self._place(model, engine))
        return found.batching if found else {}

    def device(self, model: str, engine: str | None = None) -> str:
        """Device of an open engine; of one that is not open, what was asked for."""
        found = self._open.get(self._place(model, engine))
        return found.device if found else self.setup(model, engine).device or "auto"

    def _place(self, model: str, engine: str | None) -> tuple[str, str]:
        return engine or self.options.engine, model

    def _make_room(self) -> None:
        """Close the engines that hold memory."""
        held = [p for p in self._open if self.plugin(p[0]).holds_memory(self._setups[p])]
        for place in held:
            self._close(place)
        if not held:
            return
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _close(self, place: tuple[str, str]) -> None:
        engine = self._open.pop(place)
        self.plugin(place[0]).close(engine.engine)
