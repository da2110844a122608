"""How the weights of a request are served: which model a server holds, and which adapter it gets.

This is the plan's choice, made for each request from what it asks, and from nothing else:

- Without contrast the server holds the model, and a request gets the sum of all its adapters as one
  LoRA.
- With contrast the server holds the model with the weights of `against` merged into it, and a
  request gets the rest of its adapters: the two sides are this model with and without that LoRA.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lampbench.engine.adapter_kind import CONFIG_FILE
from lampbench.engine.protocol import GenerateRequest, ScoreRequest, Weights
from lampbench.util.errors import LampbenchError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What a server's --max-lora-rank may be."""
LEAST_RANK = 16


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server must be for a request.

    Attributes:
        merged: adapters that are merged into the model that it holds.
        contrast: whether it decodes contrastively.
        adapted: whether requests have an adapter of their own. In vLLM's build for CPUs (0.32) one
            without, in a batch with others, is answered under the adapter in the last slot; so
            they are never under way together. A spare slot hides that only until as many adapters
            have been used as there are slots.
        scores: whether its log-probabilities are needed.
    """

    merged: Weights
    contrast: bool
    adapted: bool
    scores: bool = False


def serving(request: GenerateRequest | ScoreRequest) -> tuple[Serving, Weights]:
    """What a request needs of a server, and the adapters whose sum it gets as one LoRA.

    Raises:
        LampbenchError: one server cannot decode its two sides.
    """
    contrast = request.spec.contrast if isinstance(request, GenerateRequest) else None
    if contrast is None:
        scores = isinstance(request, ScoreRequest)
        return Serving((), False, bool(request.weights), scores), request.weights
    merged = contrast.against
    if request.weights[: len(merged)] != merged:
        raise LampbenchError(
            f"{request.id}: vLLM contrasts adapters on top of a model with that model alone, and "
            "here the weights do not begin with those that they are contrasted with; use --engine "
            "batched"
        )
    if contrast.more or contrast.own != 1.0:
        raise LampbenchError(
            f"{request.id}: vLLM contrasts one side with one other; use --engine batched"
        )
    rest = request.weights[len(merged) :]
    return Serving(merged, True, bool(rest)), rest


def require_rank(stacks: Iterable[Weights]) -> int:
    """The least --max-lora-rank for sums of adapters; their ranks add up.

    Raises:
        LampbenchError: no server takes as much.
    """
    needed = max((sum(map(_rank, stack)) for stack in stacks), default=0)
    for rank in RANKS:
        if max(needed, LEAST_RANK) <= rank:
            return rank
    raise LampbenchError(
        f"adapters of rank {needed} together are too large for vLLM, which takes {RANKS[-1]} at "
        "most; use --engine batched"
    )


def _rank(adapter: Path) -> int:
    """The largest rank of an adapter's layers; 0 where its file does not say, which is checked
    when it is read.
    """
    try:
        config = json.loads((adapter / CONFIG_FILE).read_text(encoding="utf-8"))
        ranks = [config["r"], *(config.get("rank_pattern") or {}).values()]
        return max(int(rank) for rank in ranks)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
