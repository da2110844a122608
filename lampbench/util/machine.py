"""Cores this process may use, and installed package versions."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine of a run. What could not be found out is None.

    `cores` are those that this process may use, `threads` torch's threads. Both `threads` and
    `accelerator` are known where torch was loaded.
    """

    system: str
    cpu: str
    cores: int
    memory_gib: float | None
    accelerator: str | None
    threads: int | None


def hardware(device: str | None = None) -> Hardware:
    """The machine that this process runs on, with the GPU of a torch device: none for "cpu", and
    the first for one without a number, or for None. Loads no torch.
    """
    pages = os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    torch = sys.modules.get("torch")
    kind, _, number = (device or "").partition(":")
    index = int(number) if number.isdigit() else 0
    cuda = torch is not None and kind != "cpu" and torch.cuda.is_available()
    return Hardware(
        system=f"{platform.system()} {platform.machine()}",
        cpu=_cpu(),
        cores=usable_cores(),
        memory_gib=round(pages * os.sysconf("SC_PAGE_SIZE") / 2**30, 1) if pages else None,
        accelerator=torch.cuda.get_device_name(index) if torch and cuda else None,
        threads=torch.get_num_threads() if torch is not None else None,
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def usable_cores() -> int:
    """Cores that this process may run on: a batch system may allow fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def releases(packages: Iterable[str]) -> dict[str, str | None]:
    """The versions of packages; None where one is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found
