"""Loading a model and its tokenizer, from a folder or the hub."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from lampbench.errors import LampbenchError
from lampbench.models import ModelSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """A causal language model with its tokenizer. `context` is its length in tokens."""

    model: Any
    tokenizer: Any
    context: int
    device: torch.device


def best_device(asked: str | None) -> torch.device:
    """The device asked for, or the best there is: CUDA, then Apple's MPS, then the processor.

    Raises:
        LampbenchError: the device asked for is not there.
    """
    if asked is None:
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else mps)
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        cause = str(error).partition("\n")[0]
        raise LampbenchError(f"device {asked!r} cannot be used: {cause}") from error
    return device


def load(spec: ModelSpec, device: str | None, dtype: str) -> Loaded:
    """Load a model for inference, frozen.

    Raises:
        LampbenchError: the files are missing, damaged or unreachable.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = best_device(device)
    options = {"revision": spec.revision}
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(spec.location, **options)
            model = AutoModelForCausalLM.from_pretrained(
                spec.location, dtype=getattr(torch, dtype), **options
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            cause = " ".join(str(error).split())[:300]
            raise LampbenchError(f"model {spec.location} cannot be loaded: {cause}") from error
    model.to(place).eval().requires_grad_(False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    config = model.config.get_text_config()
    return Loaded(model, tokenizer, int(config.max_position_embeddings), place)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own notices and bars off the user's terminal, for a while."""
    from transformers.utils import logging as notices

    before, bars = notices.get_verbosity(), notices.is_progress_bar_enabled()
    notices.set_verbosity_error()
    notices.disable_progress_bar()
    loggers = [logging.getLogger(name) for name in ("accelerate", "peft", "torch.distributed")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        notices.set_verbosity(before)
        if bars:
            notices.enable_progress_bar()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
