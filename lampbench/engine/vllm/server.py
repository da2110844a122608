"""What a vLLM server is to the engine, whoever started it."""

import threading
from typing import Any, Protocol

from lampbench.engine.vllm.http_client import VllmClient
from lampbench.engine.vllm.serving import Serving

POLL_SECONDS = 0.5
"""Between two questions whether a server answers."""


class Server(Protocol):
    """Where requests go; `name` is what the model without adapters is called there, and `troubled`
    is whether its output may be needed.
    """

    name: str
    troubled: bool

    @property
    def client(self) -> VllmClient:
        """The way to the server.

        Raises:
            ServerGone: it does not run.
        """
        ...

    def prepare(self, serving: Serving, rank: int, stopped: threading.Event) -> bool:
        """Be ready for requests of this kind; whether adapters that were loaded are gone."""
        ...

    def revive(self, stopped: threading.Event) -> None:
        """Come back after the server stopped answering; its adapters are gone."""
        ...

    def require_same(self, answer: Any) -> None:
        """Make sure that an answer is of the server that was prepared.

        Raises:
            LampbenchError: another one has taken its place.
        """
        ...

    def stop(self) -> None:
        """Give back what was taken."""
        ...
