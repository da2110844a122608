"""Free memory of a device, and what to do when it runs out."""

import os

import torch

from lampbench.util.errors import LampbenchError

_SHARE = 0.7  # of the free memory; the rest is for activations and for other programs


def free_memory(device: torch.device) -> int:
    """Bytes that can be used without displacing anything else."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(_SHARE * (free + held))
    if device.type == "mps":
        limit = torch.mps.recommended_max_memory()
        return int(_SHARE * (limit - torch.mps.current_allocated_memory()))
    try:
        pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):  # not known on this system
        return 4 << 30
    return int(_SHARE * pages * size)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the error says that a device's memory is full."""
    text = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )


def halved(size: int, error: RuntimeError, smallest: str) -> int:
    """Half of `size`, to try again after the memory was full; other errors are raised again.

    Raises:
        LampbenchError: `size` is 1, and the memory does not hold even that; `smallest` names it.
    """
    if not is_out_of_memory(error):
        raise error
    if size <= 1:
        raise LampbenchError(
            f"the device's memory does not hold {smallest}; choose a smaller model, "
            "--dtype bfloat16 or another --device"
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return size // 2
