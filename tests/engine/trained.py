"""What a training job is made of and leaves: the token ids of its examples, the saved adapter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lampbench.engine.protocol import TrainJob

WEIGHTS = "adapter_model.safetensors"
"""The file of an adapter's weights in its folder."""


def saved(job: TrainJob) -> bytes:
    """The file of weights that a job wrote."""
    return (job.output / WEIGHTS).read_bytes()


def tensors(adapter: Path) -> dict[str, Tensor]:
    """The weights of an adapter by name."""
    from safetensors.torch import load_file

    found: dict[str, Tensor] = load_file(adapter / WEIGHTS)
    return found


def apart(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """The largest difference between two adapters of the same tensors."""
    assert found.keys() == expected.keys()
    return max(float((found[name] - expected[name]).abs().max()) for name in expected)


def encoded(engine: Any, job: TrainJob) -> list[tuple[list[int], list[list[int]]]]:
    """Token ids of each example of a job: the prompt, and its responses."""
    encoder = engine._training_encoder
    pairs = [encoder.encode_responses("e", one.prompt, one.responses) for one in job.data]
    return [(list(pair.prompt), [list(ids) for ids in pair.responses]) for pair in pairs]
