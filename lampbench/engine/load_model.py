"""Loading a model and its tokenizer, from a folder or the hub."""

from dataclasses import dataclass
from typing import Any

import torch

from lampbench.core.precision import PRECISIONS
from lampbench.engine.model_files import commit_of
from lampbench.engine.models import ModelSpec
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.util.errors import LampbenchError

_NO_LIMIT = 10**9  # tokenizers without a limit of their own say 1e30


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model with its tokenizer; `context` is its context length in tokens."""

    model: Any
    tokenizer: Any
    context: int
    device: torch.device


def choose_device(asked: str | None) -> torch.device:
    """The device asked for; for None or "auto" CUDA, else Apple's MPS, else the CPU.

    Raises:
        LampbenchError: the device asked for cannot be used.
    """
    if asked is None or asked == "auto":
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else mps)
    usable = _usable_devices()
    if asked not in usable:
        listed = ", ".join(dict.fromkeys(usable))
        raise LampbenchError(
            f"device {asked!r} cannot be used: here are {listed}; choose one of them with --device"
        )
    device = torch.device(asked)
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        cause = str(error).partition("\n")[0]
        raise LampbenchError(
            f"device {asked!r} cannot be used: {cause}; choose another one with --device"
        ) from error
    return device


def _usable_devices() -> list[str]:
    """The devices that this machine has, by torch's names."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def load_model(spec: ModelSpec, device: str | None, dtype: str) -> LoadedModel:
    """Load a model for inference, with its weights frozen.

    Raises:
        LampbenchError: the device cannot be used, `dtype` is unknown, or the files are missing,
            damaged or cannot be reached.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if dtype not in PRECISIONS:
        raise LampbenchError(f"no precision is called {dtype!r}: there are {', '.join(PRECISIONS)}")
    chosen = choose_device(device)
    options = {"revision": commit_of(spec)}
    with quiet_libraries():
        try:
            tokenizer = AutoTokenizer.from_pretrained(spec.location, **options)
            model: Any = AutoModelForCausalLM.from_pretrained(
                spec.location, dtype=getattr(torch, dtype), **options
            )
        except Exception as error:  # whatever a damaged file makes the libraries raise
            cause = " ".join(str(error).split())[:300]
            raise LampbenchError(
                f"model {spec.location} cannot be loaded: {cause}; download or save it again"
            ) from error
    model.to(chosen).eval().requires_grad_(False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    context = int(model.config.get_text_config().max_position_embeddings)
    if tokenizer.model_max_length and tokenizer.model_max_length < _NO_LIMIT:
        context = min(context, int(tokenizer.model_max_length))
    # Prompts are fitted into `context`, and what is dropped is counted: no warning is needed.
    tokenizer.model_max_length = _NO_LIMIT
    return LoadedModel(model, tokenizer, context, chosen)
