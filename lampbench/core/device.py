"""The names of devices, whether a machine has them or not. Does not import torch."""

import re

from lampbench.util.errors import LampbenchError, short_repr

_NAME = re.compile(r"auto|cpu|mps|cuda(:(0|[1-9][0-9]*))?")
_LISTED = "cpu, cuda, one GPU of several such as cuda:1, mps, or auto for the fastest one here"


def is_device_name(asked: object) -> bool:
    """Whether some machine may have a device of that name."""
    return isinstance(asked, str) and _NAME.fullmatch(asked) is not None


def require_device_name(asked: object) -> None:
    """Refuse what is the name of no device on any machine.

    Raises:
        LampbenchError: it is none.
    """
    if not is_device_name(asked):
        raise LampbenchError(f"no device is called {short_repr(asked)} (--device): give {_LISTED}")
