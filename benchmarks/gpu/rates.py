"""What the device can do at best: bytes and operations per second, measured."""

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks import timing
from benchmarks.gpu.found import save


def main() -> None:
    """Measure copies and matrix products in both precisions."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--device", required=True)
    parser.add_argument("--found", type=Path, required=True)
    options = parser.parse_args()
    device = torch.device(options.device)
    page: dict[str, Any] = {"copy_gb_per_second": round(timing.copy_rate(device) / 1e9, 1)}
    save(options.found, page)
    for name in ("float32", "bfloat16"):
        rate = timing.matmul_rate(device, getattr(torch, name))
        page[f"{name}_tflop_per_second"] = round(rate / 1e12, 3)
        save(options.found, page)
    page["tf32"] = torch.backends.cuda.matmul.allow_tf32
    if device.type == "cuda":
        it = torch.cuda.get_device_properties(device)
        page |= {"name": it.name, "memory_gib": round(it.total_memory / 2**30, 1),
                 "capability": f"{it.major}.{it.minor}", "cuda": torch.version.cuda}  # fmt: skip
    save(options.found, page)


if __name__ == "__main__":
    main()
