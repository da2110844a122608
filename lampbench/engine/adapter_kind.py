"""What kind of adapter a folder holds, without reading its weights."""

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from lampbench.engine.protocol import (
    AdapterSpec,
    DoraSpec,
    GateSpec,
    GenerateRequest,
    IA3Spec,
    LoraSpec,
    PiecesSpec,
    PrefixSpec,
    ScoreRequest,
    SoftPromptSpec,
    TrainJob,
    Weights,
)

AdapterKind = Literal[
    "LORA", "DORA", "PREFIX_TUNING", "PROMPT_TUNING", "IA3", "STEERING", "GATES", "PIECES"
]

CONFIG_FILE = "adapter_config.json"


def adapter_kind(path: Path) -> str:
    """The kind of a saved adapter, or whatever else its configuration names.

    LORA where the file cannot be read: whoever reads the adapter says what is wrong with it.
    """
    file = path / CONFIG_FILE
    try:
        return _kind(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, AttributeError):
        return "LORA"


@lru_cache(maxsize=4096)
def _kind(file: Path, time: int) -> str:
    config = json.loads(file.read_text(encoding="utf-8"))
    return "DORA" if config.get("use_dora") else str(config.get("peft_type"))


def trained_kind(adapter: AdapterSpec) -> AdapterKind:
    """The kind that a job trains."""
    kinds: dict[type, AdapterKind] = {
        LoraSpec: "LORA",
        DoraSpec: "DORA",
        PrefixSpec: "PREFIX_TUNING",
        SoftPromptSpec: "PROMPT_TUNING",
        IA3Spec: "IA3",
        GateSpec: "GATES",
        PiecesSpec: "PIECES",
    }
    return kinds.get(type(adapter), "STEERING")


def kinds_asked(asked: GenerateRequest | ScoreRequest | TrainJob) -> set[str]:
    """The kinds of all adapters that a request or job has to do with."""
    stacks: Sequence[Weights]
    if isinstance(asked, TrainJob):
        below = asked.dpo.reference if asked.dpo else ()
        start = (asked.start,) if asked.start else ()
        stacks, kinds = [asked.frozen, below, start], {str(trained_kind(asked.adapter))}
    elif isinstance(asked, GenerateRequest) and asked.spec.contrast:
        others = [weights for weights, _ in asked.spec.contrast.others]
        stacks, kinds = [asked.weights, *others], set()
    else:
        stacks, kinds = [asked.weights], set()
    return kinds.union(*({adapter_kind(path) for path in stack} for stack in stacks))
