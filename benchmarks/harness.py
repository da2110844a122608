"""Paired timing, the machine it ran on, and a JSON file that says both."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lampbench.record.versions import versions
from lampbench.util.machine import hardware

RESULTS = Path(__file__).parent / "results"


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds of one call, the device's queue emptied before and after."""
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def paired(
    works: Mapping[str, Callable[[], object]], pairs: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of each work in each round; in a round every work runs once, one after the other,
    so that whatever else the machine does hits all of them. Warm up before.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(pairs):
        for name, work in works.items():
            taken[name].append(seconds(work, device))
            print(f"  {name}: {taken[name][-1]:.2f} s", file=sys.stderr)
    return taken


def ratio(slow: list[float], fast: list[float], scale: float = 1.0) -> dict[str, float]:
    """How many times faster: the median, least and most of the rounds' own ratios."""
    each = [scale * a / b for a, b in zip(slow, fast, strict=True)]
    return {
        "median": round(statistics.median(each), 2),
        "least": round(min(each), 2),
        "most": round(max(each), 2),
    }


def median(values: list[float]) -> float:
    """Their median."""
    return statistics.median(values)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes held so far: of the device, or of this process on a processor."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def copy_rate(device: torch.device) -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.empty(1 << 28 if device.type == "cuda" else 1 << 25, device=device)
    target = torch.empty_like(source)
    spent = min(seconds(lambda: target.copy_(source), device) for _ in range(5))
    return 2 * source.numel() * source.element_size() / spent


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    factor = torch.randn(size, size, device=device, dtype=dtype)
    spent = min(seconds(lambda: factor @ factor, device) for _ in range(5))
    return float(2 * size**3 / spent)


def write(benchmark: str, settings: Mapping[str, Any], results: Any, folder: Path) -> None:
    """Record a benchmark's results under its name.

    Results that the file has already stay, where they were measured on the same machine under the
    same settings and are not measured again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{benchmark}.json"
    page = {"benchmark": benchmark, "hardware": asdict(hardware()), "settings": json_like(settings)}
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    same = all(known.get(name) == value for name, value in page.items())
    everything = {**(known["results"] if same else {}), **results}
    text = json.dumps({**page, "versions": versions(), "results": everything}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")


def json_like(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
