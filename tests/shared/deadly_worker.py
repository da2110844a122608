"""A worker with the real engine whose process is killed once, in the middle of training.

`DEADLY_SHARD` names the shard, and the file `DEADLY_MARK` is there when it has died.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lampbench.cli import worker
from lampbench.cli.main import main
from lampbench.engine.pool import EnginePool
from lampbench.engine.protocol import Engine, StepHook, TrainFailure, TrainJob, TrainResult
from lampbench.execution.shard import Shard
from lampbench.workers.crew import Emit, Ending
from lampbench.workers.serve import serve

SHARD, MARK = "DEADLY_SHARD", "DEADLY_MARK"
_LAST_STEP = 2


class DeadlyEngine:
    """An engine whose process is killed, once, in a step of users' preference training."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        def step(job: str, done: int, total: int) -> None:
            on_step(job, done, total)
            self._steps += any(one.dpo is not None for one in jobs)
            mark = Path(os.environ[MARK])
            if self._steps == _LAST_STEP and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        yield from self._engine.train(jobs, step)


def make_deadly() -> None:
    """Make the engines of this process such engines."""
    load = EnginePool._load

    def load_deadly(pool: EnginePool, engine: str, model: str) -> DeadlyEngine:
        return DeadlyEngine(load(pool, engine, model))

    EnginePool._load = load_deadly  # type: ignore[method-assign, assignment]


def work(arguments: list[str], shard: Shard, emit: Emit) -> Ending:
    """As `lampbench.cli.worker.work`; the process of one shard is killed."""
    if str(shard) == os.environ[SHARD]:
        make_deadly()
    return worker.work(arguments, shard, emit)


if __name__ == "__main__":
    if sys.argv[1] == "run":  # a command of a shard, without a driver
        make_deadly()
        main(sys.argv[1:])
    serve(work, sys.argv[1:])
