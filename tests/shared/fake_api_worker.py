"""As `fake_worker`, for calls in Python."""

import sys

from lampbench.api import worker
from lampbench.execution.shard import Shard
from lampbench.workers.crew import Emit, Ending
from lampbench.workers.serve import serve
from tests.shared.fake_worker import serve_with


def work(arguments: list[str], shard: Shard, emit: Emit) -> Ending:
    """As `lampbench.api.worker.work`, on an engine that computes nothing."""
    serve_with(shard)
    return worker.work(arguments, shard, emit)


if __name__ == "__main__":
    serve(work, sys.argv[1:])
