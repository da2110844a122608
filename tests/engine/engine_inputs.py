"""Inputs of the engines in the tests: prompts, examples, training jobs, adapter shapes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.protocol import (
    LoraSpec,
    OptimSpec,
    PreferencePair,
    SFTExample,
    TrainJob,
    Weights,
)

MODELS = ("llama", "mistral", "gemma", "gemma-vision", "qwen")
USER_LORA = LoraSpec(rank=4, alpha=8, dropout=0.1, targets=("q_proj", "v_proj"))
TASK_LORA = LoraSpec(rank=4, alpha=4, dropout=0.1, targets=("q_proj", "k_proj", "v_proj", "o_proj"))
STILL = replace(USER_LORA, dropout=0.0)
LORA_SHAPES = (  # users whose adapters have nothing in common
    LoraSpec(4, 8, 0.0, ("q_proj", "v_proj")),
    LoraSpec(1, 2, 0.0, ("k_proj",)),
    LoraSpec(6, 3, 0.0, ("q_proj", "k_proj", "v_proj", "o_proj")),
    LoraSpec(2, 2, 0.0, ("gate_proj", "up_proj", "down_proj")),
    LoraSpec(3, 6, 0.0, ("o_proj", "down_proj")),
    LoraSpec(5, 5, 0.0, ("q_proj", "v_proj", "up_proj")),
)
RESPONSES = ["Storm closes harbour", "The quick brown fox jumps over the old bridge and the town",
             "x", "", "Monday: " + "fox " * 20]  # fmt: skip
OPTIM = OptimSpec(
    learning_rate=2e-2, epochs=2, batch_size=3, weight_decay=0.01, warmup_ratio=0.2,
    max_grad_norm=0.3,
)  # fmt: skip


def no_hook(job: str, step: int, steps: int) -> None:
    """Ignore the steps."""


def prompt(n: int = 0, article: str | None = None) -> Prompt:
    """One of many prompts, of different lengths; its article may be shortened."""
    text = article or "The storm reached the coast on Monday. " + f"Bridge {n} closed. " * (n % 5)
    return Prompt(
        "You are a news headline generator.",
        (Piece("Generate a headline.\narticle: "), Piece(text, 1), Piece("\nheadline:")),
    )


def examples(n: int = 6) -> tuple[SFTExample, ...]:
    """Examples with responses of different lengths."""
    return tuple(SFTExample(prompt(i), "Storm closes " + "harbour " * i + str(i)) for i in range(n))


def preferences(n: int = 6) -> tuple[PreferencePair, ...]:
    """Pairs with responses of different lengths."""
    return tuple(
        PreferencePair(prompt(i), f"Storm closes harbour {i}", "The town and " + "fox " * (i % 4))
        for i in range(n)
    )


def job(home: Path, name: str, **options: Any) -> TrainJob:
    """A training job below `home`."""
    values: dict[str, Any] = {
        "id": name, "frozen": (), "data": examples(), "adapter": USER_LORA, "optim": OPTIM,
        "seed": 3, "output": home / name / "adapter", "scratch": home / name / "checkpoints",
    } | options  # fmt: skip
    return TrainJob(**values)


def contrasts(tam: Path, users: Sequence[Path]) -> list[tuple[Weights, Weights]]:
    """Weights, and the weights to contrast them with: all combinations a method might ask for."""
    a, b, c, d, e, f = users
    return [
        ((tam, a), (tam,)), ((tam, b), (tam,)), ((tam, c), (tam,)), ((tam, d), ()), ((e,), ()),
        ((f,), (tam,)), ((tam, a), (tam, b)), ((tam, c), (d,)), ((tam,), ()), ((tam, e, f), (tam,)),
        ((tam, e, f), (tam, e)), ((a, b), (tam, c)), ((), (tam, f)), ((tam, a), (tam, a)),
    ]  # fmt: skip
