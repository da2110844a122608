"""A worker on the engine of `held_command`."""

import sys

from lampbench.cli.worker import work
from lampbench.engine.pool import EnginePool
from lampbench.workers.serve import serve
from tests.shared.held_command import HeldEngine

if __name__ == "__main__":
    EnginePool._load = lambda *_: HeldEngine()  # type: ignore[method-assign]
    serve(work, sys.argv[1:])
