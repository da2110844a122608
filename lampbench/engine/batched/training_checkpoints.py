"""Checkpoints of a training job: written all or nothing, resumed exactly."""

import os
from typing import Any

import torch

from lampbench.engine.protocol import TrainJob
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest


class TrainingCheckpoints:
    """The last saved state of one job, in the folder `job.scratch`."""

    def __init__(self, job: TrainJob) -> None:
        self._file = job.scratch / "checkpoint.pt"
        self._job = _identity(job)

    def load(self) -> dict[str, Any] | None:
        """The state saved last, on the CPU; None if there is none.

        Raises:
            LampbenchError: the file is damaged or belongs to another job.
        """
        if not self._file.is_file():
            return None
        try:
            saved: dict[str, Any] = torch.load(self._file, map_location="cpu", weights_only=True)
            job = saved.pop("job")
        except Exception as error:  # whatever a damaged file makes torch raise
            raise LampbenchError(f"{self._file}: damaged checkpoint; delete the file") from error
        if job != self._job:
            raise LampbenchError(f"{self._file}: a checkpoint of another job; delete the file")
        return saved

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state; if the process is killed, one of the two is left."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        staged = self._file.with_suffix(".staged")
        with staged.open("wb") as stream:
            torch.save({"job": self._job, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(self._file)


def _identity(job: TrainJob) -> str:
    """Digest of what a job computes, wherever its files are."""
    beta = job.dpo.beta if job.dpo else None
    stacks = [len(job.frozen), job.start is not None, len(job.dpo.reference) if job.dpo else None]
    shape = [repr(job.data), repr(job.lora), repr(job.optim), job.seed, beta, stacks]
    return digest(shape)
