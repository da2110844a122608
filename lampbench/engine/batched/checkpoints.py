"""Checkpoints of a training job: written whole, taken up again exactly."""

import os
from typing import Any

import torch

from lampbench.engine.protocol import TrainJob
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest


class Checkpoints:
    """The last state of one job, under `job.scratch`."""

    def __init__(self, job: TrainJob) -> None:
        self._file = job.scratch / "checkpoint.pt"
        self._job = _identity(job)

    def load(self) -> dict[str, Any] | None:
        """The state saved last, on the processor; None where there is none.

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
        """Put `state` in the place of the one before; a kill leaves one of the two."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        staged = self._file.with_suffix(".staged")
        with staged.open("wb") as stream:
            torch.save({"job": self._job, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(self._file)


def _identity(job: TrainJob) -> str:
    """What a job computes, wherever its files lie."""
    beta = job.dpo.beta if job.dpo else None
    stacks = [len(job.frozen), job.start is not None, len(job.dpo.reference) if job.dpo else None]
    shape = [repr(job.data), repr(job.lora), repr(job.optim), job.seed, beta, stacks]
    return digest(shape)
