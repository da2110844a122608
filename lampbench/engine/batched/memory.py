"""How much a device holds, and what to do when it turns out to be less."""

import os

import torch

from lampbench.util.errors import LampbenchError

_SHARE = 0.7  # of the free memory; the rest is for activations and for others


def free_bytes(device: torch.device) -> int:
    """Memory that can be filled without pushing anything else out."""
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
    """Whether a device said that its memory is full."""
    text = str(error)
    return (
        isinstance(error, torch.OutOfMemoryError)
        or "out of memory" in text
        or "can't allocate memory" in text
    )


def halved(error: RuntimeError, size: int, what: str) -> int:
    """The size to try after `error`; the error itself if it is not about memory.

    Raises:
        LampbenchError: `size` was 1 already; `what` says of what.
    """
    if not is_out_of_memory(error):
        raise error
    if size <= 1:
        raise LampbenchError(
            f"the device's memory does not hold {what}; choose a smaller model, --dtype bfloat16 "
            "or another --device"
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return size // 2
