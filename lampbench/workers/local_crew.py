"""Workers on this machine: one process per shard, each with a GPU or some cores of its own."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lampbench.execution.shard import Shard
from lampbench.util.errors import LampbenchError
from lampbench.util.machine import usable_cores
from lampbench.util.progress import Progress
from lampbench.workers.crew import RETRIES, Ending, Event, death
from lampbench.workers.worker_progress import crew_display

_PATIENCE = 20.0  # seconds that a worker has to end after it was told to
_THREADS = "OMP_NUM_THREADS"


@dataclass
class LocalCrew:
    """Runs a command as `count` shards at once.

    `module` is the worker's, which is started with a shard, and told the `arguments` of the command
    on its standard input; `device` is what --device says.
    """

    arguments: Sequence[str]
    module: str
    count: int
    device: str | None
    _events: "queue.Queue[tuple[int, Event]]" = field(default_factory=queue.Queue)
    _running: dict[int, "_Process"] = field(default_factory=dict)

    def carry_out(self, progress: Progress) -> list[str]:
        """Let the workers do every shard; see `Crew`."""
        environments = _divided(self.count, self.device)
        display, failures = crew_display(progress), []
        endings: dict[int, Ending] = {}
        tries = dict.fromkeys(range(self.count), 0)
        try:
            for index in tries:
                self._start(index, environments[index])
            while self._running:
                index, event = self._events.get()
                if event["kind"] == "ending":
                    endings[index] = Ending(event["code"], event["error"])
                if event["kind"] != "dead":
                    display.take(index, event)
                    continue
                display.leave(index)
                del self._running[index]
                ending = endings.get(index)
                if ending is None:
                    tries[index] += 1
                    if tries[index] <= RETRIES:
                        display.say(
                            f"the worker of shard {index}/{self.count} {event['death']}; begun "
                            f"again ({tries[index]} of {RETRIES})"
                        )
                        self._start(index, environments[index])
                        continue
                    ending = Ending(1, f"its worker {event['death']}, {RETRIES + 1} times")
                if ending.code:
                    failures.append(f"shard {index}/{self.count}: {ending.error}")
                    display.say(f"{failures[-1]}; the other shards are carried out")
        finally:
            self._end_all()
        return failures

    def _start(self, index: int, environment: Mapping[str, str]) -> None:
        shard = Shard(index, self.count)
        self._running[index] = _Process(
            [sys.executable, "-m", self.module, str(shard)], self.arguments, environment
        )
        threading.Thread(target=self._read, args=(index, self._running[index]), daemon=True).start()

    def _read(self, index: int, process: "_Process") -> None:
        for event in process.events():
            self._events.put((index, event))

    def _end_all(self) -> None:
        for process in self._running.values():
            process.popen.terminate()
        for process in self._running.values():
            try:
                process.popen.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
        self._running.clear()


class _Process:
    """A worker. Its standard input is a pipe: it ends when the driver does, however that ends.

    The first line in it are the arguments: those of a process have limits, and appear in lists of
    processes.
    """

    def __init__(
        self, command: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self._told = json.dumps(list(arguments)).encode("ascii") + b"\n"
        # what the worker did not expect to say: open as long as the worker
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.popen = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._stderr,
        )  # fmt: skip

    def events(self) -> Iterator[Event]:
        """What the worker reports, and last that its process is dead."""
        assert self.popen.stdout is not None
        self._tell()
        for line in self.popen.stdout:
            with contextlib.suppress(ValueError):  # cut by a kill
                yield json.loads(line)
        code = self.popen.wait()
        self.close()
        yield {"kind": "dead", "death": death(code) + self._last_words()}

    def _tell(self) -> None:
        assert self.popen.stdin is not None
        left = memoryview(self._told)
        with contextlib.suppress(BrokenPipeError):  # it has died; its last words are told
            while left:
                left = left[os.write(self.popen.stdin.fileno(), left) :]

    def close(self) -> None:
        """Close the pipes."""
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                stream.close()

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        self._stderr.close()
        return f" ({lines[-1]})" if lines else ""


def _divided(count: int, device: str | None) -> list[dict[str, str]]:
    """The environment of each worker: a GPU of its own, or a share of the cores.

    Raises:
        LampbenchError: there are fewer GPUs or cores than workers.
    """
    home = str(Path(__file__).parents[2])
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    common = {**os.environ, "PYTHONPATH": path}
    gpus = [] if device == "cpu" else _gpus()
    if gpus:
        if count > len(gpus):
            raise LampbenchError(
                f"--workers {count}: this process may use {len(gpus)} GPUs, and each worker needs "
                f"one; give --workers {len(gpus)}, or --device cpu"
            )
        return [{**common, "CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus[:count]]
    cores = usable_cores()
    if count > cores:
        raise LampbenchError(
            f"--workers {count}: this process may use {cores} cores; give --workers {cores}"
        )
    threads = {_THREADS: os.environ.get(_THREADS, str(cores // count))}
    return [{**common, **threads} for _ in range(count)]


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one.strip() for one in visible.split(",") if one.strip() not in ("", "-1")]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
