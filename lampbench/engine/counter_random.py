"""Random numbers that depend on a key and a counter alone, in plain tensor operations.

They are the same on every device, in every batch and in every order, and after a resume. All draws
of the engines come from here, but for what is drawn once per job: an adapter's initial values and
the order of its examples.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014; constants as in Vigna's splitmix64.c). Its n-th number is a mixing
function of key + n x constant, so it needs no state. A number serves as the key of further numbers:
`child_keys` of a sample's seed are the keys of its tokens, and those of an example's seed the keys
of its positions, whose own are the keys of the layers.
"""

import torch
from torch import Tensor

_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64
_HALF = 1 << 15  # numbers of 16 bits are compared as signed ones


def child_keys(keys: Tensor, numbers: Tensor | int) -> Tensor:
    """Keys that belong to `keys` and `numbers` (from 0), int64 tensors that are broadcast.

    Child n is number n of the generator with that key, so a key has either children or numbers.
    """
    numbers = torch.as_tensor(numbers, dtype=torch.int64)
    if numbers.dim():
        numbers = numbers.to(keys.device)  # a single number may stay where it is, for torch
    return _mixed(keys + (numbers + 1) * _STEP)


def random_words(keys: Tensor, count: int) -> Tensor:
    """The first `count` numbers [..., count], 64 random bits each, of the generators `keys`."""
    return child_keys(keys.unsqueeze(-1), torch.arange(count, device=keys.device))


def uniform_numbers(keys: Tensor, count: int) -> Tensor:
    """Numbers [..., count] in (0, 1), float32, in steps of 2**-31 near 0."""
    bits = random_words(keys, -(-count // 2)).view(torch.int32)[..., :count]
    numbers = (bits & 0x7FFFFFFF).float().add_(0.5).mul_(2.0**-31)
    return numbers.clamp_(max=1.0 - 2.0**-24)


def kept(keys: Tensor, count: int, rate: float) -> Tensor:
    """A mask [..., count] of zeros, with probability `rate` to 16 bits, and ones, in float32."""
    bits = random_words(keys, -(-count // 4)).view(torch.int16)[..., :count]
    least = round(rate * 2 * _HALF) - _HALF
    # bits >= least, but on a CPU comparisons and boolean masks take several times as long
    return bits.float().sub_(least - 0.5).clamp_(0.0, 0.5).mul_(2.0)


def _mixed(words: Tensor) -> Tensor:
    """SplitMix64's mixing function; changes `words`, and returns it."""
    words.bitwise_xor_(_shifted(words, 30)).mul_(_FIRST)
    words.bitwise_xor_(_shifted(words, 27)).mul_(_SECOND)
    return words.bitwise_xor_(_shifted(words, 31))


def _shifted(words: Tensor, bits: int) -> Tensor:
    """A shift to the right that fills with zeros; int64's own repeats the sign."""
    return (words >> bits).bitwise_and_((1 << (64 - bits)) - 1)
