"""vLLM as a server: one that is started here and stopped afterwards, or one that is running."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from lampbench.engine.capability import Capability
from lampbench.engine.engine_argument import EngineArgument
from lampbench.engine.engine_plugin import (
    EnginePlugin,
    EngineSetup,
    check_model_files,
    register_engine,
)
from lampbench.engine.model_config import model_type
from lampbench.engine.protocol import Engine
from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.util.errors import LampbenchError

if TYPE_CHECKING:
    from lampbench.engine.vllm.http_client import VllmClient
    from lampbench.engine.vllm.vllm_environment import VllmEnvironment

_ALWAYS = frozenset({
    Capability.GENERATE, Capability.SAMPLE, Capability.LOGITS_PENALTY, Capability.MIN_NEW_TOKENS,
    Capability.OPEN_PROMPTS, Capability.SCORE, Capability.SCORE_RAW, Capability.LORA,
    Capability.COMBINE,
})  # fmt: skip
_WITH_PROCESSOR = frozenset({Capability.SCORES_PENALTY})
_WITH_TWIN = frozenset({Capability.CONTRAST, Capability.CONTRAST_LOG_EPS})
_CONTRASTIVE = ("llama", "mistral", "qwen2", "gemma3_text", None)
"""Types of models that lampbench-vllm has a contrastive form of; None is not known before the model
is read.
"""


@register_engine("vllm")
class Vllm(EnginePlugin):
    """Asks a vLLM server over HTTP, with token ids in both directions."""

    summary = "a vLLM server, started here (--vllm-python) or joined (--vllm-url); does not train"
    capabilities = _ALWAYS | _WITH_PROCESSOR | _WITH_TWIN
    ignored: ClassVar = {
        "device": "a vLLM server runs on what its own environment says, as CUDA_VISIBLE_DEVICES"
    }
    arguments = (
        EngineArgument("python", str, "interpreter of the environment that has vLLM", keyed=False),
        EngineArgument("url", str, "address of a running server, which is joined", keyed=False),
        EngineArgument("max_loras", int, "adapters in one batch of the server", 8, keyed=False,
                       low=1),
        EngineArgument("max_cpu_loras", int, "adapters that the server holds", 64, keyed=False,
                       low=1),
        EngineArgument("patience", int, "seconds to wait for a joined server that ended", 300,
                       keyed=False, low=0),
        EngineArgument("server_args", str, "further arguments of a server that is started"),
    )  # fmt: skip

    def __init__(self) -> None:
        # for one command: in a notebook both may be mended before the next
        self._servers: dict[str, _Joined] = {}
        self._environments: dict[str | None, VllmEnvironment] = {}

    def missing(self) -> tuple[str, ...]:
        """VLLM."""
        from importlib.util import find_spec

        if find_spec("vllm"):
            return ()
        return (
            "vLLM is not in this environment: pip install 'lampbench[vllm]', or name another one "
            "with --vllm-python PATH or a server with --vllm-url URL",
        )

    def missing_with(self, setup: EngineSetup) -> tuple[str, ...]:
        """Nothing where another environment or a server is named."""
        elsewhere = setup.arguments["url"] or setup.arguments["python"]
        return () if elsewhere else self.missing()

    def able(self, setup: EngineSetup) -> frozenset[Capability]:
        """Contrast and penalties on log-probabilities need lampbench-vllm in the server."""
        _require_sound(setup)
        found = set(_ALWAYS)
        has_form = model_type(setup.model) in _CONTRASTIVE
        if setup.arguments["url"]:
            server = self._joined(setup.arguments["url"])
            found |= _WITH_PROCESSOR if server.plugin else set()
            return frozenset(found | _WITH_TWIN if server.twin and has_form else found)
        if self._environment(setup).contrast:
            found |= _WITH_PROCESSOR | (_WITH_TWIN if has_form else set())
        return frozenset(found)

    def identity(self, setup: EngineSetup) -> Mapping[str, str]:
        """The engine, vLLM's version, and arguments that may change an answer."""
        return {**super().identity(setup), "vllm": self._version(setup)}

    def check_options(self, setup: EngineSetup) -> None:
        """Refuse what is not passed on to the server.

        Raises:
            LampbenchError: a way of loading the model, or both an environment and a server, is
                given; or `server_args` cannot be used.
        """
        super().check_options(setup)
        given = setup.model_arguments
        for name in ("quantization", "device_map", "attn_implementation"):
            if getattr(given, name):
                raise LampbenchError(
                    f"--model-arg {name} is not passed on to vLLM; leave it out, or give vLLM's "
                    "own option by --engine-arg server_args='...'"
                )
        _require_sound(setup)

    def check(self, setup: EngineSetup) -> None:
        """Make sure that there is a vLLM, or a server, and that the model's files are here.

        Raises:
            LampbenchError: there is none, it says that it runs in another precision, or files are
                missing.
        """
        self._version(setup)
        check_model_files(setup)
        if url := setup.arguments["url"]:
            _require_precision(url, self._joined(url).configuration, setup)

    def server(self, setup: EngineSetup) -> ServerConfiguration | None:
        """What a server that was joined told of its precision, its cache and its options."""
        joined = self._servers.get(setup.arguments["url"] or "")
        return joined.configuration if joined else None

    def open(self, setup: EngineSetup) -> Engine:
        """The client, which starts its server when it is first asked something."""
        from lampbench.engine.vllm.engine import VllmEngine
        from lampbench.engine.vllm.joined_server import JoinedServer
        from lampbench.engine.vllm.merged_checkpoint import merged_model
        from lampbench.engine.vllm.model_shapes import model_shapes
        from lampbench.engine.vllm.server import Server
        from lampbench.engine.vllm.started_server import ServerSettings, StartedServer

        self.check_options(setup)
        self.check(setup)
        spec, arguments = setup.local_model(), setup.arguments
        shapes = model_shapes(spec, setup.model_arguments)
        merged = partial(
            merged_model,
            spec,
            dtype=setup.dtype,
            arguments=setup.model_arguments,
            store=setup.store,
        )
        batch_size = setup.batch_size or _BATCH_SIZE
        has_plugin = Capability.SCORES_PENALTY in self.able(setup)
        folder = setup.store.partial("vllm", secrets.token_hex(8))  # where joined servers can read
        server: Server
        most_adapters = arguments["max_cpu_loras"]
        if arguments["url"]:
            server = JoinedServer(
                _client(arguments["url"]),
                shapes,
                merged,
                plugin=has_plugin,
                patience=arguments["patience"],
                say=setup.say,
            )
        else:
            most_adapters = max(arguments["max_loras"], most_adapters)
            server = StartedServer(
                self._environment(setup),
                shapes,
                ServerSettings(
                    dtype=setup.dtype,
                    max_loras=arguments["max_loras"],
                    max_cpu_loras=most_adapters,
                    batch_size=batch_size,
                    trust_remote_code=setup.model_arguments.trust_remote_code,
                    more=arguments["server_args"] or "",
                ),
                merged,
                folder / "server.log",
                setup.say,
            )
        return VllmEngine(
            server,
            shapes,
            chat_template=setup.chat_template,
            fidelity=setup.fidelity,
            folder=folder,
            most_adapters=most_adapters,
            window=2 * batch_size,
            has_plugin=has_plugin,
        )

    def close(self, engine: Engine) -> None:
        """Stop a server that was started here."""
        engine.close()  # type: ignore[attr-defined]

    def _version(self, setup: EngineSetup) -> str:
        """The version of vLLM that will answer.

        Raises:
            LampbenchError: there is none, or no server.
        """
        from lampbench.engine.vllm.joined_server import server_version_at

        _require_sound(setup)
        if setup.arguments["url"]:
            return server_version_at(_client(setup.arguments["url"]))
        return self._environment(setup).version

    def _joined(self, url: str) -> "_Joined":
        """What a server that is joined has and tells, looked up once.

        Raises:
            LampbenchError: as `_of_server`.
        """
        if url not in self._servers:
            self._servers[url] = _of_server(url)
        return self._servers[url]

    def _environment(self, setup: EngineSetup) -> "VllmEnvironment":
        """What the environment of the server that will be started has, looked up once."""
        from lampbench.engine.vllm.vllm_environment import vllm_environment

        python = setup.arguments["python"]
        if python not in self._environments:
            self._environments[python] = vllm_environment(python)
        return self._environments[python]


_BATCH_SIZE = 64


def _require_sound(setup: EngineSetup) -> None:
    from lampbench.engine.vllm.server_arguments import server_arguments

    given, usual = setup.arguments, {each.name: each.default for each in Vllm.arguments}
    if given["url"]:
        for name in ("python", "server_args", "max_loras"):
            if given[name] != usual[name]:
                option = "--vllm-python" if name == "python" else f"--engine-arg {name}"
                raise LampbenchError(f"--vllm-url joins a server that runs; leave out {option}")
    elif given["patience"] != usual["patience"]:
        raise LampbenchError(
            "--engine-arg patience is for a server that is joined (--vllm-url); leave it out"
        )
    server_arguments(given["server_args"] or "")


def _require_precision(url: str, told: ServerConfiguration, setup: EngineSetup) -> None:
    """Make sure that a server does not say that it runs in another precision than a run's key."""
    if told.dtype not in (None, setup.dtype):
        raise LampbenchError(
            f"the server at {url} runs in {told.dtype}, and the run is of {setup.dtype}; add "
            f"--dtype {told.dtype}, or join a server that was started with --dtype {setup.dtype}"
        )


def _client(url: str) -> "VllmClient":
    from lampbench.engine.vllm.http_client import KEY_VARIABLE, VllmClient

    return VllmClient(url, os.environ.get(KEY_VARIABLE))


@dataclass(frozen=True, slots=True)
class _Joined:
    """A server that is joined: whether it has lampbench-vllm, whether its model has a twin, and
    what it tells of itself.
    """

    plugin: bool
    twin: bool
    configuration: ServerConfiguration


def _of_server(url: str) -> _Joined:
    """What a running server has and tells.

    Raises:
        LampbenchError: no vLLM server answers there, it contrasts every request, or its
            lampbench-vllm is too old.
    """
    from lampbench.engine.vllm.http_client import ServerGone
    from lampbench.engine.vllm.joined_server import server_version_at
    from lampbench.engine.vllm.server_checks import (
        contrasts_per_request,
        has_plugin,
        served_model,
    )
    from lampbench.engine.vllm.told_configuration import (
        require_contrast_per_request,
        told_configuration,
    )

    client = _client(url)
    server_version_at(client)
    try:
        name = served_model(client).name
        told = told_configuration(client, name)
        require_contrast_per_request(client.url, told.fingerprint)
        return _Joined(
            plugin=has_plugin(client, name),
            twin=contrasts_per_request(client, name),
            configuration=told,
        )
    except ServerGone as gone:
        raise LampbenchError(f"the server at {url} stopped answering ({gone})") from gone
