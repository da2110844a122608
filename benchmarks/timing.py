"""Paired timing, and what a device can do at best."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import torch

from lampbench.engine.batched import onednn_linear


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds of one call; the device's queue is empty before and after."""
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def processor_seconds(work: Callable[[], object], _: torch.device) -> float:
    """Processor time of one call, which other programs on the machine hardly change."""
    began = time.process_time()
    work()
    return time.process_time() - began


def paired(
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    clock: Callable[[Callable[[], object], torch.device], float] = seconds,
) -> dict[str, list[float]]:
    """Seconds of each work in each round, by `clock`.

    In a round every work runs once, one after the other, so that whatever else the machine does
    slows all of them down. Warm up before.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(clock(work, device))
            print(f"  {name}: {taken[name][-1]:.2f} s", file=sys.stderr)
    return taken


def ratio(slow: list[float], fast: list[float], scale: float = 1.0) -> dict[str, float]:
    """How many times faster: median, smallest and largest of the rounds' own ratios.

    `scale` multiplies the slow seconds, for work that was done for a part of the users.
    """
    each = [scale * a / b for a, b in zip(slow, fast, strict=True)]
    return {
        "median": round(statistics.median(each), 2),
        "least": round(min(each), 2),
        "most": round(max(each), 2),
    }


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes held so far: on a GPU, or by this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def copy_rate(device: torch.device) -> float:
    """Bytes per second that a large copy reads and writes."""
    source = torch.empty(1 << 28 if device.type == "cuda" else 1 << 25, device=device)
    target = torch.empty_like(source)
    spent = min(seconds(lambda: target.copy_(source), device) for _ in range(5))
    return 2 * source.numel() * source.element_size() / spent


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, by the faster library."""
    size = 8192 if device.type == "cuda" else 1024
    factor = torch.randn(size, size, device=device, dtype=dtype)
    products = [lambda: factor @ factor]
    if onednn_linear.usable(device, dtype):
        products.append(lambda: onednn_linear.product(factor, factor, None))
    spent = min(seconds(product, device) for product in products for _ in range(5))
    return float(2 * size**3 / spent)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
