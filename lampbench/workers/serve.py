"""A worker's process: runs one shard and reports to its driver, on standard output."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence

from lampbench.execution.shard import parse_shard
from lampbench.workers.crew import Event, Work


def serve(work: Work, arguments: Sequence[str]) -> None:
    """Run a command for one shard, and report its events on standard output.

    The one argument of this process is the shard; the command's are the first line of standard
    input, as JSON. What something else prints goes to standard error.
    """
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lock = threading.Lock()

    def emit(event: Event) -> None:
        with lock:
            stream.write(json.dumps(event) + "\n")
            stream.flush()

    told = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_driver, daemon=True).start()
    if told.endswith(b"\n"):  # otherwise the driver has ended
        ending = work(json.loads(told), parse_shard(arguments[0]), emit)
        emit({"kind": "ending", "code": ending.code, "error": ending.error})


def _end_with_driver() -> None:
    """Wait for the end of standard input, which is the driver's end, and end this process."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
