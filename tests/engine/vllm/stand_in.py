"""A local stand-in for a vLLM server, which answers by rule and misbehaves when told to."""

import json
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lampbench.util.hashing import seed_from

Reply = tuple[int, Any]
"""Status and JSON."""
INFO = "/server_info?config_format=json"
"""The path of what a server in developers' mode tells of itself."""
METRICS = (
    '# TYPE vllm:cache_config_info gauge\n'
    'vllm:cache_config_info{mamba_cache_dtype="float32",cache_dtype="fp8_e4m3",engine="0"} 1.0\n'
)  # fmt: skip
"""A part of what a server has at /metrics."""


def chosen(seen: Sequence[int], model: str, vocabulary: int) -> int:
    """The token that a model of this name chooses after others; an adapter's name ends with a
    digest of what it holds.
    """
    return seed_from(list(seen), model.rpartition("-")[2]) % vocabulary


class StandIn:
    """The server; `url` stays the same when it is stopped and started again.

    Attributes:
        fault: asked before each request for a reply of its own; "hang up" closes the connection.
        asked: bodies of requests for completions, in order.
        loaded: names and paths of adapters.
        tells: what it has at further paths, such as "/metrics".
        fingerprint: the end of the fingerprint of its answers.
        together: for each completion, the models of all that were under way with it.
        meanwhile: called with the model of each completion while it is under way.
    """

    def __init__(
        self,
        root: str,
        vocabulary: int,
        tokenize: Callable[[str], list[int]],
        port: int = 0,
        name: str = "served",
    ) -> None:
        self.name = name
        self.root, self.vocabulary, self.tokenize = root, vocabulary, tokenize
        self.version, self.context, self.key = "0.32.0", 256, ""
        self.processed_logprobs = False
        self.aliases: tuple[str, ...] = ()
        self.most_new = 1000  # as max_new_tokens of a generation config says
        self.max_rank, self.lora, self.plugin = 64, True, "none"
        self.known_settings = ("lampbench_probe", "lampbench_needs", "lampbench_contrast_alpha",
                               "lampbench_contrast_tau", "lampbench_log_probabilities")  # fmt: skip
        self.fault: Callable[[str, Any], Reply | str | None] = lambda path, body: None
        self.asked: list[dict[str, Any]] = []
        self.loaded: dict[str, str] = {}
        self.tells: dict[str, Any] = {}
        self.fingerprint = ""
        self.together: list[set[str]] = []
        self.meanwhile: Callable[[str], object] = lambda model: os.sched_yield()
        self.most_loaded = 0
        self.lock = threading.Lock()
        self._under_way: list[str] = []
        self._sockets: set[socket.socket] = set()
        self._port = port
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, without any adapter."""
        self.loaded.clear()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                self._reply(None)

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                self._reply(json.loads(self.rfile.read(size)))

            def _reply(self, body: Any) -> None:
                with stand_in.lock:
                    stand_in._sockets.add(self.connection)
                try:
                    key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                    reply = stand_in.reply(self.path, body, key)
                    if isinstance(reply, str):
                        self.connection.shutdown(socket.SHUT_RDWR)
                        return
                    content = json.dumps(reply[1]).encode()
                    with suppress(OSError):  # whoever asked has hung up
                        self.send_response(reply[0])
                        self.send_header("Content-Length", str(len(content)))
                        self.end_headers()
                        self.wfile.write(content)
                finally:
                    with stand_in.lock:
                        stand_in._sockets.discard(self.connection)

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """End, and break off all that is under way."""
        self._server.shutdown()
        self._server.server_close()
        with self.lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def reply(self, path: str, body: Any, key: str) -> Reply | str:
        """What a request gets."""
        if path == "/health":
            return 200, None
        if self.key and key != self.key and path.startswith("/v1"):
            return 401, {"error": "Unauthorized"}
        if (own := self.fault(path, body)) is not None:
            return own
        match path:
            case "/version":
                return 200, {"version": self.version}
            case "/v1/models":
                card = {"id": self.name, "root": self.root, "parent": None,
                        "max_model_len": self.context}  # fmt: skip
                adapters = [{"id": name, "root": at, "parent": self.name}
                            for name, at in self.loaded.items()]  # fmt: skip
                aliases = [{**card, "id": alias} for alias in self.aliases]
                return 200, {"data": [card, *aliases, *adapters]}
            case "/tokenize":
                return 200, {"tokens": self.tokenize(body["prompt"])}
            case "/v1/load_lora_adapter":
                return self._load(body)
            case "/v1/unload_lora_adapter":
                known = self.loaded.pop(body["lora_name"], None)
                return (200, None) if known else (404, _error("cannot be found."))
            case "/v1/completions":
                return self._complete(body)
        told = self.tells.get(path)
        return (404, {"detail": "Not Found"}) if told is None else (200, told)

    def _load(self, body: Any) -> Reply:
        if not self.lora:
            return 404, {"detail": "Not Found"}
        if not body["lora_name"]:
            return 400, _error("Both 'lora_name' and 'lora_path' must be provided.")
        if body["lora_name"] in self.loaded:
            return 400, _error(f"The lora adapter {body['lora_name']!r} has already been loaded.")
        try:
            text = Path(body["lora_path"], "adapter_config.json").read_text("utf-8")
            rank = json.loads(text)["r"]
        except OSError:
            return 404, _error(f"Loading lora failed: No adapter found for {body['lora_path']}")
        if rank > self.max_rank:
            return 500, _error(f"LoRA rank {rank} is greater than max_lora_rank {self.max_rank}.")
        with self.lock:
            self.loaded[body["lora_name"]] = body["lora_path"]
            self.most_loaded = max(self.most_loaded, len(self.loaded))
        return 200, None

    def _complete(self, body: Any) -> Reply:
        model, prompt = body["model"], body["prompt"]
        if model != self.name and model not in self.loaded:
            return 404, _error(f"The model `{model}` does not exist.")
        if max(prompt) >= self.vocabulary:
            return 400, _error(f"Token id {max(prompt)} is out of vocabulary")
        if len(prompt) + body["max_tokens"] > self.context:
            return 400, _error(f"This model's maximum context length is {self.context} tokens.")
        unknown = sorted((body.get("vllm_xargs") or {}).keys() - set(self.known_settings))
        if unknown and self.plugin != "none":
            return 400, _error(f"lampbench-vllm: {unknown[0]} is unknown")
        with self.lock:
            self._under_way.append(model)
            self.together.append(set(self._under_way))
            self.asked.append(body)
        try:
            self.meanwhile(model)
            choices = [self._choice(n, body) for n in range(body.get("n", 1))]
            fingerprint = f"vllm-{self.version}-{seed_from(self.root)}{self.fingerprint}"
            return 200, {"choices": choices, "system_fingerprint": fingerprint}
        finally:
            with self.lock:
                self._under_way.remove(model)

    def _choice(self, number: int, body: Any) -> dict[str, Any]:
        ids: list[int] = []
        prompt, stop = body["prompt"], set(body.get("stop_token_ids", []))
        reason = "length"
        for _ in range(min(body["max_tokens"], self.most_new)):
            ids.append(self._next([*prompt, *ids], body, number))
            if ids[-1] in stop:
                reason = "stop"
                break
        made: dict[str, Any] = {"index": number, "prompt_token_ids": prompt, "token_ids": ids,
                                "finish_reason": reason, "logprobs": None}  # fmt: skip
        if "prompt_logprobs" in body:
            made["prompt_logprobs"] = [None, *(self._log(prompt[:n], prompt[n], body["model"])
                                               for n in range(1, len(prompt)))]  # fmt: skip
            last = self._log(prompt, ids[0], body["model"])
            log = 0.0 if self.processed_logprobs else last[str(ids[0])]["logprob"]
            made["logprobs"] = {"token_logprobs": [log]}
        return made

    def _next(self, seen: list[int], body: Any, number: int) -> int:
        settings = body.get("vllm_xargs") or {}
        if "lampbench_probe" in settings and self.plugin != "none":
            return int(settings["lampbench_probe"]) + (self.plugin == "processor")
        if allowed := body.get("allowed_token_ids"):
            return int(allowed[0])
        seed = f" {body['seed'] + number}" if body.get("temperature") else ""
        return chosen(seen, body["model"] + seed, self.vocabulary)

    def _log(self, before: list[int], token: int, model: str) -> dict[str, Any]:
        return {str(token): {"logprob": expected_logprob([*before, token], model)}}


def expected_logprob(ids: Sequence[int], model: str) -> float:
    """The log-probability that a model of this name gives the last token."""
    return -(seed_from(list(ids), model) % 1000) / 100


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


def info(
    dtype: str = "torch.float32", quantization: str | None = None, cache: str = "auto"
) -> dict[str, Any]:
    """What a server in developers' mode tells; numbers and texts that play no part are left out."""
    model = {"dtype": dtype, "quantization": quantization, "model": "m"}
    return {"vllm_config": {"model_config": model, "cache_config": {"cache_dtype": cache}}}
