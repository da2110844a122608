"""What a GPU spends its time on, by kernel."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import timing

_SHOWN = 25
_NAME = 110  # characters of a kernel's name


def kernels(work: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """Kernels of one call, the longest first: milliseconds and launches of each, and of all.

    The processor's side is not recorded: that would take longer than the work.
    """
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        spent = timing.seconds(work, device)
    total: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for event in seen.key_averages():
        row = total[event.key[:_NAME]]
        row[0] += event.self_device_time_total / 1000
        row[1] += event.count
    longest = sorted(total.items(), key=lambda item: -item[1][0])
    return {
        "seconds": round(spent, 3),
        "milliseconds": round(sum(row[0] for _, row in longest), 2),
        "launches": sum(int(row[1]) for _, row in longest),
        "longest": {name: [round(row[0], 3), int(row[1])] for name, row in longest[:_SHOWN]},
    }
