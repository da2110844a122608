"""Keeping libraries' notices and progress bars out of the output."""

import contextlib
import warnings
from collections.abc import Iterator
from logging import ERROR, getLogger
from typing import Any


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside, transformers and peft print no notices and no progress bars."""
    from transformers.utils import logging

    notices: Any = logging  # untyped
    before, bars = notices.get_verbosity(), notices.is_progress_bar_enabled()
    notices.set_verbosity_error()
    notices.disable_progress_bar()
    others = getLogger("peft")
    level = others.level
    others.setLevel(ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        notices.set_verbosity(before)
        if bars:
            notices.enable_progress_bar()
        others.setLevel(level)
