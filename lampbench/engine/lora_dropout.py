"""Dropout on a LoRA's input, the same for an example whatever is trained beside it."""

from torch import Tensor

from lampbench.engine.counter_random import child_keys, kept
from lampbench.util.hashing import seed_from


class LoraDropout:
    """Sets each number of a LoRA's input to zero with probability `rate`.

    The others are to be multiplied by `scale`, or the LoRA's output, which is the same and cheaper.
    The mask of a token depends on `seeds` [rows], its position (`positions` [rows, tokens] or
    [tokens], from 0), the layer's name and nothing else: not on the batch, the padding, the device
    or the engine. A recomputed forward pass gets the same one.
    """

    def __init__(self, rate: float, seeds: Tensor, positions: Tensor) -> None:
        self._rate, self.scale = rate, 1 / (1 - rate)
        self._keys = child_keys(seeds.unsqueeze(-1), positions)

    def __call__(self, inputs: Tensor, layer: str) -> Tensor:
        """`inputs` [rows, tokens, width] with zeros in it."""
        keys = child_keys(self._keys, seed_from(layer))
        return inputs * kept(keys, inputs.shape[-1], self._rate).to(inputs.dtype)
