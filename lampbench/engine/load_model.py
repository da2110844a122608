"""Loading a model and its tokenizer, from a folder or the hub."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from logging import ERROR, getLogger
from typing import Any

import torch

from lampbench.engine.models import ModelSpec, commit_of
from lampbench.util.errors import LampbenchError

_DTYPES = ("float32", "bfloat16", "float16")
_NO_LIMIT = 10**9  # tokenizers without a limit of their own say 1e30


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
    if asked is None or asked == "auto":
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
        LampbenchError: the device is not there, the precision is none, or the files are missing,
            damaged or unreachable.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if dtype not in _DTYPES:
        raise LampbenchError(f"no precision is called {dtype!r}: there are {', '.join(_DTYPES)}")
    place = best_device(device)
    options = {"revision": commit_of(spec)}
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(spec.location, **options)
            model: Any = AutoModelForCausalLM.from_pretrained(
                spec.location, dtype=getattr(torch, dtype), **options
            )
        except Exception as error:  # whatever a damaged file makes the libraries raise
            cause = " ".join(str(error).split())[:300]
            raise LampbenchError(f"model {spec.location} cannot be loaded: {cause}") from error
    model.to(place).eval().requires_grad_(False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    context = int(model.config.get_text_config().max_position_embeddings)
    if tokenizer.model_max_length and tokenizer.model_max_length < _NO_LIMIT:
        context = min(context, int(tokenizer.model_max_length))
    tokenizer.model_max_length = _NO_LIMIT  # or it warns; prompts are held to `context` and counted
    return Loaded(model, tokenizer, context, place)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own notices and bars off the user's terminal, for a while."""
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
