"""Cores this process may use, and installed package versions."""

import importlib.metadata
import os
from collections.abc import Iterable


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
