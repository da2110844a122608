"""Checkpoints of a training job: written all or nothing, checked when read, resumed exactly."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lampbench.engine.checkpoint_file import CHECKPOINT, CheckpointDamage, sealed, unsealed
from lampbench.engine.protocol import TrainJob
from lampbench.util.atomic import replace
from lampbench.util.hashing import digest
from lampbench.util.regular_file import read_regular

_DAMAGED = "checkpoint.damaged"


class TrainingCheckpoints:
    """The last saved state of one job, as `torch.save` writes it, in the folder `job.scratch`."""

    def __init__(self, job: TrainJob, say: Callable[[str], object]) -> None:
        self._file = job.scratch / CHECKPOINT
        self._job = _identity(job)
        self._say = say

    def load(self, steps: int) -> dict[str, Any] | None:
        """The state saved last, on the CPU; None if there is none that can be used.

        A damaged checkpoint, or one of another job, or of more steps than the job's (an earlier
        version could train on past the end), is reported and renamed: training begins anew.
        """
        if not self._file.is_file():
            return None
        try:
            return self._saved(steps)
        except CheckpointDamage as damage:
            self._file.replace(self._file.with_name(_DAMAGED))
            self._say(f"{self._file}: {damage}; renamed to {_DAMAGED}, this training begins anew")
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state; if the process is killed, one of the two is left.

        Raises:
            LampbenchError: the disk is full.
        """
        stream = io.BytesIO()
        torch.save(state, stream)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace(self._file, sealed(self._job, stream.getvalue()))

    def _saved(self, steps: int) -> dict[str, Any]:
        job, content = unsealed(read_regular(self._file))
        if job != self._job:
            raise CheckpointDamage("a checkpoint of another job")
        saved: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
        if saved["step"] > steps:
            raise CheckpointDamage(f"{saved['step']} steps are done of {steps}")
        return saved


def _identity(job: TrainJob) -> str:
    """Digest of whose job it is and what it computes, wherever the cache is."""
    dpo = (job.dpo.beta, [_place(path) for path in job.dpo.reference]) if job.dpo else None
    weights = [_place(path) for path in job.frozen], _place(job.start) if job.start else None
    shape = repr(job.adapter)
    return digest([job.id, repr(job.data), shape, repr(job.optim), job.seed, dpo, weights])


def _place(adapter: Path) -> str:
    """Kind, key and name: the same adapter after the cache has moved."""
    return "/".join(adapter.parts[-3:])
