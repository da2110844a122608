"""A vLLM server that lampbench starts on the loopback address, and stops."""

import atexit
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lampbench.engine.vllm.http_client import ServerGone, ServerRefused, VllmClient
from lampbench.util.errors import LampbenchError

_MODULE = "vllm.entrypoints.openai.api_server"
_START_SECONDS = 1800.0  # large models are read from slow disks
_STOP_SECONDS = 20.0
_ERROR = re.compile(r"\b(?:[A-Z]\w*(?:Error|Exception)|error): +(.+)")
_LOG_BYTES = 1 << 18


class ServerProcess:
    """One run of a server, ready when it is made.

    `python` is the interpreter of vLLM's environment, `arguments` are the server's, without its
    address, `variables` are added to its environment, and `log` is the file of its output. Nobody
    waits for it any more when `stopped` is set. Only who knows its `client` can use it: a key is
    made for it, and given to it through the environment.

    Raises:
        ServerGone: `stopped` was set.
        LampbenchError: it ended, or was not ready in half an hour; says what its log says.
    """

    def __init__(
        self,
        python: str,
        arguments: Sequence[str],
        log: Path,
        *,
        variables: Mapping[str, str],
        stopped: threading.Event,
    ) -> None:
        self.log, self._stopped = log, stopped
        port, key = _free_port(), secrets.token_hex(16)
        self.client = VllmClient(f"http://127.0.0.1:{port}", key)
        command = [python, "-m", _MODULE, "--host", "127.0.0.1", "--port", str(port), *arguments]
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            try:
                self._supervisor = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("supervise.py")), *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    env=_environment(variables, key),
                    start_new_session=True,  # a terminal's Ctrl-C goes to lampbench alone
                )
            except OSError as error:
                raise LampbenchError(f"{python}: cannot be run ({error.strerror})") from error
        atexit.register(self.stop)
        try:
            self.group = self._group()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def runs(self) -> bool:
        """Whether the server's process has not ended."""
        return self._supervisor.poll() is None

    def stop(self) -> None:
        """End the server and all its workers; does nothing if it has ended."""
        atexit.unregister(self.stop)
        self.client.hang_up()
        for pipe in (self._supervisor.stdin, self._supervisor.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            self._supervisor.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def cause(self) -> str:
        """Why the server ended, as far as its log says, on one line."""
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - _LOG_BYTES))
            text = stream.read().decode("utf-8", "replace")
        lines = [line for line in text.splitlines() if " WARNING " not in line]
        found = [match[1].strip() for line in lines if (match := _ERROR.search(line))]
        # the first error is the cause; those of the other processes only say that it happened
        telling = [line for line in found if "root cause" not in line and "failed" not in line[:24]]
        return (telling or found or ["it ended"])[0][:300]

    def _group(self) -> int:
        assert self._supervisor.stdout is not None
        line = self._supervisor.stdout.readline()
        if not line.strip():
            raise LampbenchError(f"vLLM did not start: {self.cause()}; its output: {self.log}")
        return int(line)

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._stopped.is_set():
                raise ServerGone("nobody waits for it")
            if not self.runs:
                raise LampbenchError(_not_started(self.cause(), self.log))
            try:
                self.client.get("/health")
            except (ServerGone, ServerRefused):
                time.sleep(0.2)
            else:
                return
        raise LampbenchError(
            f"vLLM was not ready after {_START_SECONDS / 60:.0f} minutes; its output: {self.log}"
        )


def _not_started(cause: str, log: Path) -> str:
    remedy = ""
    if "KV cache" in cause or "max_model_len" in cause:
        remedy = (
            "; lower --batch-size, give it more memory (--engine-arg "
            "server_args='--gpu-memory-utilization 0.95'; VLLM_CPU_KVCACHE_SPACE on a CPU) or "
            "choose a smaller model"
        )
    return f"vLLM did not start: {cause}{remedy}; its output: {log}"


def _environment(variables: Mapping[str, str], key: str) -> dict[str, str]:
    """The environment of the server's process."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    return {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        **kept,
        **variables,
        "VLLM_API_KEY": key,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    }


_NOT_FOR_IT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables that belong to lampbench's interpreter."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
