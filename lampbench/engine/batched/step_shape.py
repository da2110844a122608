"""The shape of a decoding step: how many slots it computes, and how many tokens they attend to.

Rows of one tensor attend to equally many tokens, the shorter ones to zeros that are masked. So the
slots of an exact shape are divided into neighbouring groups, each as long as its own longest row.
It changes with every step. A static shape is rounded up, so that a few shapes serve all steps and a
GPU can replay what it has recorded for each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lampbench.engine.batched.row_shapes import KEYS, padded

_GROUPS = 4  # most groups of a step
_LEAST = 16  # slots from which groups are worth their calls
_GAIN = 0.9  # share of the keys and values that groups must not exceed
_PARTS, _TOKENS = 4, 128  # static shapes are multiples of a quarter of the slots, and of 128 tokens


@dataclass(frozen=True, slots=True)
class SlotGroup:
    """Neighbouring slots up to `end`, from the last group's; their rows have at most `tokens`
    tokens, the new one included.
    """

    end: int
    tokens: int


StepShape = tuple[SlotGroup, ...]
"""The groups of a step, in the order of their slots."""


def exact_shape(lengths: Sequence[int]) -> StepShape:
    """The shape for slots whose longest rows have these many tokens, the new one included."""
    every, longest = len(lengths), max(lengths)
    if every < _LEAST:
        return (SlotGroup(every, longest),)
    groups = _groups(lengths, -(-every // _GROUPS))
    begins = (0, *(group.end for group in groups))
    read = sum((g.end - begin) * g.tokens for begin, g in zip(begins, groups, strict=False))
    return groups if read <= _GAIN * every * longest else (SlotGroup(every, longest),)


def static_shape(lengths: Sequence[int], slots: int, tokens: int) -> StepShape:
    """One group for such slots, rounded up to quarters of `slots` and multiples of 128 tokens.

    `slots` and `tokens` are all that there is room for. Slots that are computed beyond the given
    ones come to nothing. More groups would be more shapes to record, and more kernels: on an H200
    they cost a tenth of the time (benchmarks/results/gpu).
    """
    some = -(-slots // _PARTS)
    longest = -(-max(lengths) // _TOKENS) * _TOKENS
    return (SlotGroup(min(slots, -(-len(lengths) // some) * some), min(tokens, longest)),)


def padded_shape(lengths: Sequence[int], slots: int) -> StepShape:
    """One group of `slots` slots that attend to whole blocks of keys (`row_shapes`)."""
    return (SlotGroup(slots, padded(max(lengths), KEYS)),)


def _groups(lengths: Sequence[int], size: int) -> StepShape:
    begins = range(0, len(lengths), size)
    parts = [lengths[begin : begin + size] for begin in begins]
    return tuple(
        SlotGroup(begin + len(part), max(part)) for begin, part in zip(begins, parts, strict=True)
    )
