"""The command line on an engine that computes nothing and waits in training for a file `go`.

It says on standard output and on standard error that it waits, as a plugin might.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lampbench.cli import worker_options
from lampbench.cli.main import main
from lampbench.engine.pool import EnginePool
from lampbench.engine.protocol import StepHook, TrainFailure, TrainJob, TrainResult
from tests.shared.fake_runs import RecordingEngine

GO = Path("go")


class HeldEngine(RecordingEngine):
    """Waits before the second user's training."""

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        for number, job in enumerate(jobs):
            if number == 1 and not GO.exists():
                print("waiting for a file\x1b[2J", flush=True)
                print(f"waiting {'very ' * 20}long", file=sys.stderr, flush=True)
                while not GO.exists():
                    time.sleep(0.02)
            yield from super().train([job], on_step)


if __name__ == "__main__":
    worker_options._MODULE = "tests.shared.held_worker"
    EnginePool._load = lambda *_: HeldEngine()  # type: ignore[method-assign]
    main(sys.argv[1:])
