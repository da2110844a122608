"""A vLLM server that lampbench starts and stops."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lampbench.engine.models import ModelSpec
from lampbench.engine.protocol import Weights
from lampbench.engine.vllm.contrastive_form import PROCESSOR, contrastive_override
from lampbench.engine.vllm.http_client import ServerGone, VllmClient
from lampbench.engine.vllm.model_shapes import ModelShapes
from lampbench.engine.vllm.server import POLL_SECONDS
from lampbench.engine.vllm.server_arguments import server_arguments
from lampbench.engine.vllm.server_checks import contrasts_per_request
from lampbench.engine.vllm.server_process import ServerProcess
from lampbench.engine.vllm.serving import Serving
from lampbench.engine.vllm.vllm_environment import VllmEnvironment
from lampbench.util.errors import LampbenchError

_SERVED = "served"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server is started.

    Attributes:
        dtype: precision of weights and activations.
        max_loras: adapters in one batch.
        max_cpu_loras: adapters in the server's memory.
        batch_size: most requests in one batch.
        trust_remote_code: run the Python files that come with a model.
        more: further arguments of the server, as in a shell.
    """

    dtype: str
    max_loras: int
    max_cpu_loras: int
    batch_size: int
    trust_remote_code: bool = False
    more: str = ""


class StartedServer:
    """Starts a server when it is first needed, and another one when it must hold another model.

    `merged` is the model with some adapters merged into it, and `log` the file of its output.
    """

    def __init__(
        self,
        environment: VllmEnvironment,
        shapes: ModelShapes,
        settings: ServerSettings,
        merged: Callable[[Weights], ModelSpec],
        log: Path,
        say: Callable[[str], object],
    ) -> None:
        self.name = _SERVED
        self.troubled = False
        self._environment, self._shapes, self._settings = environment, shapes, settings
        self._merged, self._log, self._say = merged, log, say
        self._process: ServerProcess | None = None
        self._held: tuple[Weights, bool] | None = None
        self._rank = 0

    @property
    def client(self) -> VllmClient:
        """The way to the running server.

        Raises:
            ServerGone: none runs.
        """
        if self._process is None:
            raise ServerGone("no server is running")
        return self._process.client

    @property
    def process(self) -> ServerProcess | None:
        """The running server, for tests that kill it."""
        return self._process

    def prepare(self, serving: Serving, rank: int, stopped: threading.Event) -> bool:
        """Start a server that holds what is asked for, unless this one does."""
        if self._process is not None and self._held is not None and rank <= self._rank:
            merged, contrast = self._held
            if merged == serving.merged and contrast >= serving.contrast:
                return False  # a request without a contrast is decoded without it there too
        self.stop()
        self._rank = max(rank, self._rank)
        self._held = serving.merged, serving.contrast
        self._start(stopped)
        return True

    def revive(self, stopped: threading.Event) -> None:
        """Start the server again if it has ended; else wait until it answers."""
        process = self._process
        if process is not None and process.runs:
            for _ in range(20):  # it may be about to end, as when its workers have died
                try:
                    process.client.get("/health")
                    return
                except ServerGone:
                    if not process.runs or stopped.wait(POLL_SECONDS):
                        break
        if process is not None:
            self.troubled = True
            self._say(f"the vLLM server ended ({process.cause()}); starting it again")
        self.stop()
        self._start(stopped)

    def require_same(self, answer: Any) -> None:
        """Nothing: no other server has its key."""

    def stop(self) -> None:
        """End the server."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _start(self, stopped: threading.Event) -> None:
        assert self._held is not None
        merged, contrast = self._held
        model = self._merged(merged)
        self._say(f"starting vLLM {self._environment.version} with {model.name}")
        arguments = self._arguments(model, contrast)
        variables = {"VLLM_USE_V2_MODEL_RUNNER": "0"} if self._environment.contrast else {}
        self.troubled = True
        self._process = ServerProcess(
            self._environment.python, arguments, self._log, variables=variables, stopped=stopped
        )
        if contrast and not contrasts_per_request(self.client, self.name):
            raise LampbenchError(
                f"vLLM {self._environment.version} does not decode contrastively per request; "
                "use --engine batched, or the version that docs/vllm.md names"
            )
        self.troubled = False

    def _arguments(self, model: ModelSpec, contrast: bool) -> list[str]:
        settings = self._settings
        adapters = ["--enable-lora", "--max-loras", str(settings.max_loras),
                    "--max-cpu-loras", str(settings.max_cpu_loras),
                    "--max-lora-rank", str(self._rank),
                    "--lora-target-modules", *self._shapes.lora_targets]  # fmt: skip
        found = ["--model", model.location, "--served-model-name", _SERVED,
                 "--dtype", settings.dtype, "--max-model-len", str(self._shapes.context),
                 "--max-num-seqs", str(settings.batch_size), "--seed", "0",
                 # nothing of the model's generation_config.json, which would change the sampling
                 "--generation-config", "vllm", "--logprobs-mode", "raw_logprobs",
                 *adapters]  # fmt: skip
        if model.revision:
            found += ["--revision", model.revision]
        if settings.trust_remote_code:
            found.append("--trust-remote-code")
        if contrast or self._environment.cpu:
            found.append("--enforce-eager")
        if self._environment.cpu:
            # a seeded sample of a prompt that is read in chunks ends the server (0.32): its random
            # numbers cannot be wound back there
            found.append("--no-enable-chunked-prefill")
        if self._environment.contrast:
            found += ["--logits-processors", PROCESSOR]
        if contrast:
            found += ["--hf-overrides", contrastive_override(self._shapes)]
        return [*found, *server_arguments(settings.more)]
