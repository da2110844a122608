"""A vLLM server that lampbench joins."""

import threading
import time
from collections.abc import Callable

from lampbench.engine.models import ModelSpec
from lampbench.engine.protocol import Weights
from lampbench.engine.vllm.http_client import ServerGone, VllmClient
from lampbench.engine.vllm.model_shapes import ModelShapes
from lampbench.engine.vllm.server_checks import (
    contrasts_per_request,
    require_lora_loading,
    require_model,
    require_vocabulary,
    served_model,
    server_version,
)
from lampbench.engine.vllm.servers import POLL_SECONDS, PROCESSOR, contrastive_override
from lampbench.engine.vllm.serving import Serving
from lampbench.util.errors import LampbenchError


class JoinedServer:
    """A server that somebody else runs; it is waited for when it stops answering.

    `patience` is how long, in seconds.
    """

    def __init__(
        self,
        client: VllmClient,
        spec: ModelSpec,
        shapes: ModelShapes,
        merged: Callable[[Weights], ModelSpec],
        patience: float,
        say: Callable[[str], object],
    ) -> None:
        self.client = client
        self.troubled = False
        self._spec, self._shapes, self._merged = spec, shapes, merged
        self._patience, self._say = patience, say
        self._ready: set[tuple[Weights, bool, bool]] = set()
        self._version = server_version_at(client)
        self.name = served_model(client).name

    def prepare(self, serving: Serving, rank: int, stopped: threading.Event) -> bool:
        """Check that the server is what is asked for."""
        asked = serving.merged, serving.contrast, serving.adapted
        if asked in self._ready:
            return False
        self._check(serving)
        self._ready.add(asked)
        return False

    def revive(self, stopped: threading.Event) -> None:
        """Wait until the server answers again, and check that it is the same.

        Raises:
            LampbenchError: it does not come back, or it is another one.
        """
        end = time.monotonic() + self._patience
        told = False
        while True:
            try:
                self.client.get("/health")
                break
            except ServerGone as gone:
                if time.monotonic() >= end:
                    raise LampbenchError(
                        f"the server at {self.client.url} does not answer any more ({gone}); start "
                        "it again and run the same command: finished work is kept"
                    ) from gone
                if not told:
                    self._say(
                        f"the server at {self.client.url} does not answer ({gone}); waiting up to "
                        f"{self._patience:.0f} seconds for it"
                    )
                    told = True
                if stopped.wait(POLL_SECONDS):
                    raise
        if (version := server_version(self.client)) != self._version:
            raise LampbenchError(
                f"the server at {self.client.url} came back as vLLM {version}, after "
                f"{self._version}; run the same command again"
            )
        self.name = served_model(self.client).name
        self._ready.clear()

    def stop(self) -> None:
        """Nothing: the server is somebody else's."""

    def _check(self, serving: Serving) -> None:
        served = served_model(self.client)
        model = self._merged(serving.merged)
        if serving.contrast and not contrasts_per_request(self.client, served.name):
            raise LampbenchError(
                f"the server at {self.client.url} does not decode contrastively; install "
                f"lampbench-vllm in its environment and start it with --model {model.location} "
                f"--enforce-eager --hf-overrides '{contrastive_override(self._shapes)}' "
                f"--logits-processors {PROCESSOR}"
            )
        require_model(self.client, served, model)
        require_vocabulary(self.client, served, self._shapes)
        if serving.adapted:
            require_lora_loading(self.client, served)


def server_version_at(client: VllmClient) -> str:
    """The version of a server that must answer now.

    Raises:
        LampbenchError: nothing answers, or it is no vLLM.
    """
    try:
        return server_version(client)
    except ServerGone as gone:
        raise LampbenchError(
            f"no server answers at {client.url} ({gone}); start one (docs/vllm.md), give another "
            "--vllm-url, or leave it out so that lampbench starts one"
        ) from gone
