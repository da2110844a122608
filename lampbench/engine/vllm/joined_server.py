"""A vLLM server that lampbench joins."""

import threading
import time
from collections.abc import Callable
from typing import Any

from lampbench.engine.models import ModelSpec
from lampbench.engine.protocol import Weights
from lampbench.engine.vllm.contrastive_form import PROCESSOR, contrastive_override
from lampbench.engine.vllm.http_client import ServerGone, VllmClient
from lampbench.engine.vllm.model_shapes import ModelShapes
from lampbench.engine.vllm.server import POLL_SECONDS
from lampbench.engine.vllm.server_checks import (
    ServedModel,
    contrasts_per_request,
    has_plugin,
    require_lora_loading,
    require_model,
    require_raw_logprobs,
    require_vocabulary,
    served_model,
    server_version,
)
from lampbench.engine.vllm.serving import Serving
from lampbench.engine.vllm.told_configuration import (
    require_contrast_per_request,
    system_fingerprint,
)
from lampbench.util.errors import LampbenchError, short_repr


class JoinedServer:
    """A server that somebody else runs; it is waited for when it stops answering.

    `patience` is how long, in seconds, and `plugin` whether the server has the logits processor of
    lampbench-vllm. It may be replaced by another server at any time, so that it is checked
    whenever it is prepared.

    Raises:
        LampbenchError: nothing answers, or it is no vLLM.
    """

    def __init__(
        self,
        client: VllmClient,
        shapes: ModelShapes,
        merged: Callable[[Weights], ModelSpec],
        *,
        plugin: bool,
        patience: float,
        say: Callable[[str], object],
    ) -> None:
        self.client = client
        self.troubled = False
        self._shapes, self._merged, self._plugin = shapes, merged, plugin
        self._patience, self._say = patience, say
        self._fingerprints: dict[str, Any] = {}
        self._version = server_version_at(client)
        try:
            self.name = served_model(client).name
        except ServerGone as gone:
            raise LampbenchError(
                f"the server at {client.url} stopped answering ({gone}); run the same command again"
            ) from gone

    def prepare(self, serving: Serving, rank: int, stopped: threading.Event) -> bool:
        """Check that the server is what is asked for, and still what the plan says."""
        if (version := server_version(self.client)) != self._version:
            raise LampbenchError(
                f"the server at {self.client.url} is vLLM {version} now, after {self._version}; "
                "run the same command again"
            )
        served = served_model(self.client)
        self._check(served, serving)
        self.name = served.name
        return False

    def revive(self, stopped: threading.Event) -> None:
        """Wait until the server answers again.

        Raises:
            LampbenchError: it does not come back.
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

    def require_same(self, answer: Any) -> None:
        """Compare what an answer says of the server's configuration with what the first one said.

        vLLM's `system_fingerprint` has its version and a digest of the model and its options; a
        proxy may lead to another server while no request fails.

        Raises:
            LampbenchError: they differ.
        """
        found = answer.get("system_fingerprint") if isinstance(answer, dict) else None
        if found is None:
            return
        before = self._fingerprints.setdefault("first", found)
        if before != found:
            raise LampbenchError(
                f"{self.client.url} answers with another model or other options than before "
                f"(fingerprint {short_repr(found)}, before {short_repr(before)}); start the server "
                "as it was and run the same command again"
            )

    def stop(self) -> None:
        """Nothing: the server is somebody else's."""

    def _check(self, served: ServedModel, serving: Serving) -> None:
        model = self._merged(serving.merged)
        if self._plugin and not has_plugin(self.client, served.name):
            raise LampbenchError(
                f"the server at {self.client.url} does not have lampbench-vllm any more; start it "
                f"with --logits-processors {PROCESSOR} and run the same command again"
            )
        if serving.contrast and not contrasts_per_request(self.client, served.name):
            raise LampbenchError(
                f"the server at {self.client.url} does not decode contrastively; install "
                f"lampbench-vllm in its environment and start it with --model {model.location} "
                f"--enforce-eager --hf-overrides '{contrastive_override(self._shapes)}' "
                f"--logits-processors {PROCESSOR}"
            )
        fingerprint = system_fingerprint(self.client, served.name)
        require_contrast_per_request(self.client.url, fingerprint)
        require_model(self.client, served, model)
        require_vocabulary(self.client, served, self._shapes)
        if serving.scores:
            require_raw_logprobs(self.client, served)
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
