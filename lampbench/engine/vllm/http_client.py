"""JSON over HTTP to one server, from many threads; open connections can be closed at once."""

import http.client
import json
import socket
import threading
from contextlib import suppress
from typing import Any

from lampbench.engine.server_address import server_address
from lampbench.util.errors import LampbenchError

KEY_VARIABLE = "VLLM_API_KEY"
"""The environment variable of a server's key."""

_CONNECT_SECONDS = 10.0
_BUSY = (408, 429, 502, 503, 504)
_SERVER_FAULT = 500
_ENGINE_DEAD = ("EngineCore", "EngineDeadError", "engine is dead")


class ServerGone(Exception):
    """The server does not answer, or stopped while it answered: it may come back.

    `asked` is whether it had been sent the request.
    """

    def __init__(self, message: str, *, asked: bool = False) -> None:
        super().__init__(message)
        self.asked = asked


class ServerRefused(Exception):
    """The server answered, with an error: its `status` and its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class VllmClient:
    """Sends requests to the server at `url`, in the form of `server_address`.

    `key` is sent as a bearer token. Proxies of the environment are not used.

    Raises:
        LampbenchError: `url` is no address of a server or holds a password, or no header can hold
            the key.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        where = server_address(url, "--vllm-url", KEY_VARIABLE)
        if key and not (key.isascii() and key.isprintable()):
            raise LampbenchError(
                f"the environment variable {KEY_VARIABLE} holds characters that no key has; set it "
                "again"
            )
        self.url = where.origin
        self._secure = where.scheme == "https"
        self._host, self._port = where.host, where.port
        # servers are often named with the path of their API, as OpenAI's clients want it
        self._path = where.path.removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._open: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()

    def get(self, path: str, timeout: float | None = _CONNECT_SECONDS) -> Any:
        """What the server has at `path`: JSON, or text that is none.

        Raises:
            ServerGone: it does not answer within `timeout` seconds.
            ServerRefused: it answers with an error.
        """
        return self._ask("GET", path, None, timeout)

    def post(
        self,
        path: str,
        body: Any,
        stopped: threading.Event | None = None,
        timeout: float | None = None,
    ) -> Any:
        """What the server answers to a JSON body, however long it takes if `timeout` is None.

        Raises:
            ServerGone: it does not answer, or `stopped` is set before it is asked.
            ServerRefused: it answers with an error.
        """
        return self._ask("POST", path, json.dumps(body), timeout, stopped)

    def hang_up(self) -> None:
        """Close all connections: whoever waits for an answer gets `ServerGone`."""
        with self._lock:
            for connection in self._open:
                if connection.sock is not None:
                    with suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def _ask(
        self,
        method: str,
        path: str,
        body: str | None,
        timeout: float | None,
        stopped: threading.Event | None = None,
    ) -> Any:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=_CONNECT_SECONDS)
        asked = False
        try:
            connection.connect()
            connection.sock.settimeout(timeout)
            _keep_alive(connection.sock)
            with self._lock:
                self._open.add(connection)
            if stopped is not None and stopped.is_set():  # `hang_up` may have come before
                raise ServerGone("nobody waits for it")
            asked = True
            headers = {**self._headers, "Content-Type": "application/json"}
            connection.request(method, self._path + path, body, headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerGone(str(error) or type(error).__name__, asked=asked) from error
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
        return _checked(status, content)


def _keep_alive(connection: socket.socket) -> None:
    """Notice within two minutes when the server's machine or the way to it is gone, from which no
    message comes.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _checked(status: int, content: bytes) -> Any:
    try:
        found = json.loads(content) if content else None
    except (ValueError, RecursionError):
        found = content.decode("utf-8", "replace")
    if status == http.client.OK:
        return found
    message = _message(found) or http.client.responses.get(status, f"status {status}")
    if status in _BUSY or (status == _SERVER_FAULT and any(s in message for s in _ENGINE_DEAD)):
        raise ServerGone(message, asked=True)
    raise ServerRefused(status, message)


def _message(found: Any) -> str:
    """The text of an error in a server's answer, on one line."""
    if isinstance(found, dict):
        error = found.get("error", found)
        found = error.get("message", error) if isinstance(error, dict) else error
    return " ".join(str(found or "").split())[:300]
