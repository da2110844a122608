"""One lock per recorded run, in its results folder: whoever writes the run holds it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from lampbench.util.lock import hold

LOCKS = ".locks"


def run_lock(results: Path, key: str, say: Callable[[str], object]) -> AbstractContextManager[None]:
    """Hold the lock of the run with `key`; waits while another process holds it, and says so."""
    return hold(results / LOCKS / key, f"run {key} in {results}", say)
