"""Sizes of the speed parts, and how they shrink to fit the time."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.found import save
from benchmarks.workloads import Workload
from lampbench.engine.protocol import GenerateRequest


@dataclass(frozen=True)
class Sizes:
    """How much is asked at most.

    Attributes:
        decoded: users whose prompts are answered.
        lengths: tokens of a prompt and of an answer, when decoding.
        trained: users whose adapters are trained.
        examples: tokens of a prompt and of a response, when training.
        batch: records in a batch of training; two batches are trained.
        rounds: rounds of the comparison with peers.
    """

    decoded: int
    lengths: tuple[int, int]
    trained: int
    examples: tuple[int, int]
    batch: int
    rounds: int


LARGE = Sizes(64, (231, 128), 64, (231, 18), 4, 3)
SMALL = Sizes(4, (60, 16), 4, (45, 8), 2, 1)  # a CPU: to see that everything runs


class Clock:
    """The seconds that a part has, from the start of its process."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._ends - time.monotonic()


def largest(most: int, unit_seconds: float, allowed: float) -> int:
    """The largest of `most`, its half, its quarter, ... whose time is allowed; at least 1."""
    size = most
    while size > 1 and size * unit_seconds > allowed:
        size //= 2
    return size


def fitting(most: int, unit_seconds: float, allowed: float) -> int:
    """As many of `most` as are allowed, rounded down to a multiple of 16; at least 2."""
    count = min(most, int(allowed / max(unit_seconds, 1e-9)))
    return max(2, count - count % 16 if count > 16 else count)


@dataclass
class SpeedPart:
    """One family of measurements of one model; `page` is what was found so far."""

    work: Workload
    sizes: Sizes
    clock: Clock
    page: dict[str, Any]
    file: Path

    @property
    def on_cuda(self) -> bool:
        """Whether it is measured with CUDA."""
        return self.work.batched.device.type == "cuda"

    def asked(self, operation: str, answer: int) -> list[GenerateRequest]:
        """One request per user for an answer of so many tokens."""
        return self.work.requests(operation, self.sizes.lengths[0], answer, self.sizes.decoded)

    def record(self, title: str, **values: Any) -> None:
        """Add values under a title, and write everything."""
        self.page.setdefault(title, {}).update(values)
        save(self.file, self.page)

    def attempt(self, title: str, work: Callable[[], Any]) -> None:
        """Do it; an error is recorded, and what comes next goes on."""
        try:
            work()
        except (Exception, SystemExit) as error:  # on a machine that nobody has seen yet
            self.record(title, error=f"{type(error).__name__}: {error}"[:2000])
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    @property
    def errors(self) -> Sequence[str]:
        """What went wrong, by title."""
        found = {title: value["error"] for title, value in self.page.items() if "error" in value}
        return [f"{title}: {error}" for title, error in found.items()]


def speed_part(home: Path, description: str | None) -> SpeedPart:
    """The part that the command line asks for, its files in `home`."""
    parser = argparse.ArgumentParser(description=description)
    for name in ("model", "device", "dtype"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--found", type=Path, required=True)
    parser.add_argument(
        "--seconds", type=float, default=float(os.environ.get("GPU_PART_SECONDS", "120"))
    )
    options = parser.parse_args()
    sizes = SMALL if options.device == "cpu" else LARGE
    clock = Clock(0.8 * options.seconds)  # the rest: imports before, and what takes longer
    users = max(sizes.decoded, sizes.trained)
    work = Workload(options.model, users, home, options.device, options.dtype)
    return SpeedPart(work, sizes, clock, {}, options.found)


def reset_peak(device: torch.device) -> None:
    """Forget the highest use of memory so far; a CPU's cannot be forgotten."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
