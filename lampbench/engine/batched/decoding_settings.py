"""What all answers of a decoding loop have in common."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lampbench.engine.batched.adapter_layout import AdapterLayout
from lampbench.engine.batched.packing import PassLimits
from lampbench.engine.protocol import GenerationSpec, Weights


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """What all answers of a loop have in common.

    Attributes:
        spec: how tokens are chosen; the weights that `spec.contrast` names play no part.
        stop: tokens that end an answer.
        pad: the padding token.
        limits: limits of a pass that reads prompts.
        own_rows: how many of a slot's rows, from the first, have adapters of their own.
        layout: the layout of these adapters.
        flatten: reads adapters, as a vector in that layout.
        same_adapters: whether all answers have the same ones.
        one_prompt: whether all rows of a slot read the same prompt.
    """

    spec: GenerationSpec
    stop: frozenset[int]
    pad: int
    limits: PassLimits
    own_rows: int
    layout: AdapterLayout
    flatten: Callable[[Weights], Tensor]
    same_adapters: bool
    one_prompt: bool = True

    @property
    def rows_per_slot(self) -> int:
        """Rows of a slot: the user's, and one for each other side of a contrast."""
        return 1 + (len(self.spec.contrast.others) if self.spec.contrast else 0)

    @property
    def read_together(self) -> list[range]:
        """The rows of a slot whose prompts are read in one pass: all, or each in a pass of its own.

        Prompts of different sides differ in length, and padding would cost as much as a token.
        """
        rows = range(self.rows_per_slot)
        return [rows] if self.one_prompt else [range(row, row + 1) for row in rows]
