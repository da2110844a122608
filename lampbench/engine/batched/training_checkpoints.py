"""Checkpoints of a training job: written all or nothing, checked when read, resumed exactly."""

import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from lampbench.engine.protocol import TrainJob
from lampbench.util.atomic import replace
from lampbench.util.hashing import digest

_FORMAT = b"lampbench checkpoint 1"
_DAMAGED = "checkpoint.damaged"


class TrainingCheckpoints:
    """The last saved state of one job, in the folder `job.scratch`.

    The file is one line of text, then what `torch.save` writes. The line holds the format, the
    digest of the job and the SHA-256 of both the job's digest and the content.
    """

    def __init__(self, job: TrainJob, say: Callable[[str], object]) -> None:
        self._file = job.scratch / "checkpoint.pt"
        self._job = _identity(job)
        self._say = say

    def load(self) -> dict[str, Any] | None:
        """The state saved last, on the CPU; None if there is none that can be used.

        A damaged checkpoint, or one of another job, is reported and renamed: training begins anew.
        """
        if not self._file.is_file():
            return None
        content, damage = self._read(self._file.read_bytes())
        if not damage:
            saved: dict[str, Any] = torch.load(
                io.BytesIO(content), map_location="cpu", weights_only=True
            )
            return saved
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
        content = stream.getvalue()
        line = b" ".join([_FORMAT, self._job.encode(), _check(self._job, content)])
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace(self._file, line + b"\n" + content)

    def _read(self, data: bytes) -> tuple[bytes, str]:
        """The content, and what is wrong with the file: empty if nothing is."""
        line, _, content = data.partition(b"\n")
        fields = line.removeprefix(_FORMAT + b" ").split(b" ")
        if not line.startswith(_FORMAT + b" ") or len(fields) != 2:
            return content, "damaged checkpoint"
        job, check = fields
        if check != _check(job.decode("latin-1"), content):
            return content, "damaged checkpoint"
        if job != self._job.encode():
            return content, "a checkpoint of another job"
        return content, ""


def _check(job: str, content: bytes) -> bytes:
    return sha256(job.encode() + b"\n" + content).hexdigest().encode()


def _identity(job: TrainJob) -> str:
    """Digest of whose job it is and what it computes, wherever the cache is."""
    dpo = (job.dpo.beta, [_place(path) for path in job.dpo.reference]) if job.dpo else None
    weights = [_place(path) for path in job.frozen], _place(job.start) if job.start else None
    return digest([job.id, repr(job.data), repr(job.lora), repr(job.optim), job.seed, dpo, weights])


def _place(adapter: Path) -> str:
    """Kind, key and name: the same adapter after the cache has moved."""
    return "/".join(adapter.parts[-3:])
