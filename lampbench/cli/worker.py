"""A worker: runs a command for one shard and reports to its driver, on standard output.

The driver starts it as `python -m lampbench.cli.worker SHARD ARGUMENTS...`.
"""

import contextlib
import io
import json
import os
import signal
import sys
import threading

from lampbench.cli.main import main
from lampbench.execution.shard import Shard, parse_shard
from lampbench.workers.crew import SHARD_OF_WORKER, Emit, Ending, Event
from lampbench.workers.worker_progress import report_to


def work(arguments: list[str], shard: Shard, emit: Emit) -> Ending:
    """Run a command for one shard: its answers are stored, and its runs are not recorded."""
    os.environ[SHARD_OF_WORKER] = str(shard)
    report_to(emit)
    said = io.StringIO()
    code = 1
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        report_to(None)
        del os.environ[SHARD_OF_WORKER]
    lines = said.getvalue().strip().splitlines() or [f"exit code {code}"]
    return Ending(code, lines[-1].removeprefix("error: ") if code else "")


def serve(shard: Shard, arguments: list[str]) -> None:
    """Run a command for a shard, and report to the driver on standard output."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    lock = threading.Lock()

    def emit(event: Event) -> None:
        with lock:
            stream.write(json.dumps(event) + "\n")
            stream.flush()

    threading.Thread(target=_end_with_driver, daemon=True).start()
    ending = work(arguments, shard, emit)
    emit({"kind": "ending", "code": ending.code, "error": ending.error})


def _end_with_driver() -> None:
    """Wait for the end of standard input, which is the driver's end, and end this process."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve(parse_shard(sys.argv[1]), sys.argv[2:])
