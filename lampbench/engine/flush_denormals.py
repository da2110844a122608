"""Denormal numbers as zeros on the CPU, which computes with them a hundred times more slowly.

DPO's gradients are full of them once its pairs are separated: the loss's derivative is e^-25 there,
times small probabilities and weights. Zero is right for them: they are below 1.2e-38, AdamW adds
1e-8 to the root of a gradient's square, and an adapter's gradient is a sum whose other terms are
larger by many orders of magnitude. To scale the loss instead would only move the border, since the
products span more orders than float32 has.
"""

import ctypes
import threading
from pathlib import Path

import torch

_done = threading.local()


def flush_denormals() -> None:
    """Treat denormal numbers as zeros in this thread and in torch's worker threads, from now on.

    A worker has the setting of the thread that started it. Where torch has computed before, its
    workers are there already; each is told then, if torch was built with GNU's OpenMP. Without a
    way to tell them, or on a processor without the setting, numbers are computed more slowly.
    """
    if torch.set_flush_denormal(True) and not getattr(_done, "workers", False):
        _in_every_worker()
        _done.workers = True


def _in_every_worker() -> None:
    """Run it in a parallel region of the OpenMP library that torch brings along."""
    libraries = [*Path(torch.__file__).with_name("lib").glob("libgomp*.so*")]
    if not libraries:
        return
    # While it runs, Python's lock is free: ctypes lets the workers take it one by one.
    told = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(True))
    as_many_as_torch_uses, no_flags = ctypes.c_uint(0), ctypes.c_uint(0)
    ctypes.CDLL(str(libraries[0])).GOMP_parallel(told, None, as_many_as_torch_uses, no_flags)
