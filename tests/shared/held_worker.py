"""A worker on the engine of `held_command`."""

import sys

from lampbench.cli import worker
from lampbench.engine.pool import EnginePool
from lampbench.execution.shard import parse_shard
from tests.shared.held_command import HeldEngine

if __name__ == "__main__":
    EnginePool._load = lambda *_: HeldEngine()  # type: ignore[method-assign]
    worker.serve(parse_shard(sys.argv[1]), sys.argv[2:])
