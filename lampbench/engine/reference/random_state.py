"""Random numbers that belong to one job and leave the process's own as they were."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, torch's generators (the CPU's and the device's) start from `seed`.

    Afterwards they are as if nothing had been drawn, and so are Python's and numpy's own, which
    libraries seed anew.
    """
    python, arrays = random.getstate(), np.random.get_state()
    cuda = [device.index or 0] if device.type == "cuda" else []
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)
            if mps is not None:
                torch.mps.set_rng_state(mps)
