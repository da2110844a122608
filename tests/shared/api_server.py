"""A local server with an OpenAI-compatible API that can misbehave in every way a test asks for."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

MODEL = "tiny-1"


@dataclass
class Answer:
    """A reply: JSON, or bytes as they are; `delay` seconds before it, `drip` between bytes.

    With `short`, the connection is closed before all of the body is sent.
    """

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0
    short: bool = False


Behaviour = Callable[[dict[str, Any], int], Answer | None]
"""What to reply to a body, the n-th from 0; None: a sound answer."""


def words_for(body: dict[str, Any]) -> str:
    """An answer that depends on all of the body: two words."""
    seen = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f"answer {seen[:6]}"


def completion(body: dict[str, Any], text: str | None = None, **changes: Any) -> dict[str, Any]:
    """A sound chat completion; `changes` of the reply, and of the choice with a leading `_`."""
    text = words_for(body) if text is None else text
    asked = " ".join(message["content"] for message in body["messages"])
    read, written = len(asked.split()) + 5, len(text.split()) + 1
    choice = {"index": 0, "finish_reason": "stop",
              "message": {"role": "assistant", "content": text}}  # fmt: skip
    choice |= {name[1:]: value for name, value in changes.items() if name.startswith("_")}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "model": body["model"],
        "system_fingerprint": "fp_1", "choices": [choice],
        "usage": {"prompt_tokens": read, "completion_tokens": written,
                  "total_tokens": read + written},
        **{name: value for name, value in changes.items() if not name.startswith("_")},
    }  # fmt: skip


class ApiServer:
    """Runs in a thread; `seen` holds (body, headers) of the requests in the order they came."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = lambda body, number: None
        self.seen: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.most_at_once = 0
        self._now = 0
        self._lock = threading.Lock()
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.handle(self)

            def do_GET(self) -> None:
                server.list_models(self)

            def log_message(self, *arguments: Any) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def base(self) -> str:
        """The address for --api-base."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of all requests."""
        return [body for body, _ in self.seen]

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request as the behaviour says."""
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        with self._lock:
            number = len(self.seen)
            self.seen.append((body, {k.lower(): v for k, v in request.headers.items()}))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            if request.path != "/v1/chat/completions":
                answer = Answer({"error": {"message": f"no path {request.path}"}}, 404)
            else:
                answer = self.behaviour(body, number) or Answer(completion(body))
            if answer.delay:
                self.released.wait(answer.delay)
            self._write(request, answer)
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            with self._lock:
                self._now -= 1

    def list_models(self, request: BaseHTTPRequestHandler) -> None:
        """The models that the server has."""
        self._write(request, Answer({"object": "list", "data": [{"id": MODEL}]}))

    def _write(self, request: BaseHTTPRequestHandler, answer: Answer) -> None:
        raw = isinstance(answer.content, bytes)
        data = answer.content if raw else json.dumps(answer.content).encode()
        request.send_response(answer.status)
        headers = {"Content-Type": "text/html" if raw else "application/json",
                   "Content-Length": str(len(data)), **answer.headers}  # fmt: skip
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if answer.short:
            data = data[: len(data) // 2]
        if answer.drip:
            for byte in data:
                request.wfile.write(bytes([byte]))
                request.wfile.flush()
                if self.released.wait(answer.drip):
                    return
        else:
            request.wfile.write(data)
        if answer.short:
            request.close_connection = True

    def close(self) -> None:
        """Stop, and let every request that hangs go."""
        self.released.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = ApiServer()
    yield server
    server.close()
