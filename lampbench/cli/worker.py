"""A worker of a command: runs it for one shard.

The driver starts it as `python -m lampbench.cli.worker SHARD` and gives it the command's arguments
on standard input, or Ray calls `work`.
"""

import contextlib
import io
import os
import sys

from lampbench.cli.main import main
from lampbench.execution.shard import Shard
from lampbench.workers.crew import SHARD_OF_WORKER, Emit, Ending
from lampbench.workers.serve import serve
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


if __name__ == "__main__":
    serve(work, sys.argv[1:])
