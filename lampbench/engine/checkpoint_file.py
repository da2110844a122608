"""The file of a training checkpoint: content with the digest of itself and of its job.

The file is one line of text, then the content. The line holds the format, the digest of the job,
and the SHA-256 of both. Does not import torch.
"""

from hashlib import sha256

CHECKPOINT = "checkpoint.pt"
_FORMAT = b"lampbench checkpoint 1"


class CheckpointDamage(ValueError):
    """A checkpoint is not what was written."""


def sealed(job: str, content: bytes) -> bytes:
    """The bytes of a checkpoint file; `job` is the digest of the training job."""
    return b" ".join([_FORMAT, job.encode(), _check(job, content)]) + b"\n" + content


def unsealed(data: bytes) -> tuple[str, bytes]:
    """The digest of the job, and the content.

    Raises:
        CheckpointDamage: the bytes are not those of a checkpoint, or were changed.
    """
    line, _, content = data.partition(b"\n")
    fields = line.removeprefix(_FORMAT + b" ").split(b" ")
    if not line.startswith(_FORMAT + b" ") or len(fields) != 2:
        raise CheckpointDamage("damaged checkpoint")
    job, check = fields[0].decode("latin-1"), fields[1]
    if check != _check(job, content):
        raise CheckpointDamage("damaged checkpoint")
    return job, content


def _check(job: str, content: bytes) -> bytes:
    return sha256(job.encode() + b"\n" + content).hexdigest().encode()
