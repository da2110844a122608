"""A worker whose engine computes nothing; `FAKE_WORKER` says what happens to which shard.

Words are `kill`, once in the middle of training, `full`, a full disk, and `poison`, a bad input,
each with a shard, such as `kill:1/2`. With `FAKE_WORKER_WAITERS` no training begins before so many
other workers have said that they wait.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lampbench.cli import worker
from lampbench.engine.pool import EnginePool
from lampbench.engine.protocol import StepHook, TrainFailure, TrainJob, TrainResult
from lampbench.execution.remote_folder import LOCAL_FOLDER
from lampbench.execution.shard import Shard
from lampbench.util.errors import LampbenchError
from lampbench.workers.crew import Emit, Ending
from lampbench.workers.serve import serve
from lampbench.workers.worker_progress import ReportedProgress
from tests.shared.fake_runs import RecordingEngine

FATE = "FAKE_WORKER"
LOG = "FAKE_WORKER_LOG"
APART = "FAKE_WORKER_APART"
"""Where set, every shard has local folders of its own for caches in stores."""
WAITERS = "FAKE_WORKER_WAITERS"


class FatefulEngine(RecordingEngine):
    """Logs what it trains; before the second user's training, its fate is carried out."""

    def __init__(self, shard: str) -> None:
        super().__init__()
        self.fate = [w.partition(":")[0] for w in os.environ.get(FATE, "").split() if shard in w]
        self.log = Path(os.environ[LOG])

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        while len(list(self.log.parent.glob("waiting-*"))) < int(os.environ.get(WAITERS, "0")):
            time.sleep(0.05)
        for number, job in enumerate(jobs):
            if number:
                self._suffer()
            with self.log.open("a") as lines:
                lines.write(f"{job.id} {job.output.parent.name}\n")
            yield from super().train([job], on_step)

    def _suffer(self) -> None:
        died = self.log.with_name("died")
        if "kill" in self.fate and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "full" in self.fate:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "adapter.safetensors")
        if "poison" in self.fate:
            raise LampbenchError("user x: record 3 has no text; add it")


def work(arguments: list[str], shard: Shard, emit: Emit) -> Ending:
    """As `lampbench.cli.worker.work`, on that engine."""
    serve_with(shard)
    return worker.work(arguments, shard, emit)


def serve_with(shard: Shard) -> None:
    """Make the engines of this process such engines."""

    def load(pool: EnginePool, engine: str, model: str) -> FatefulEngine:
        return FatefulEngine(str(shard))

    EnginePool._load = load  # type: ignore[method-assign, assignment]
    if APART in os.environ:
        os.environ[LOCAL_FOLDER] = f"{os.environ[APART]}-{shard.index}"
    if WAITERS in os.environ:
        _mark_waiting(Path(os.environ[LOG]).with_name(f"waiting-{os.getpid()}"))


def _mark_waiting(mark: Path) -> None:
    """Make a file when this worker says that it waits."""
    say = ReportedProgress.say

    def marked(progress: ReportedProgress, text: str) -> None:
        if text.startswith("waiting for "):
            mark.touch()
        say(progress, text)

    ReportedProgress.say = marked  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    serve(work, sys.argv[1:])
