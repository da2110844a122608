"""What engines are asked when they are compared: the same few requests, with random LoRAs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import (
    Contrast,
    Engine,
    GenerateRequest,
    GenerationSpec,
    LoraSpec,
    OptimSpec,
    ScoreRequest,
    SFTExample,
    TrainJob,
    Weights,
)

NEW_TOKENS = 16
_TOPICS = ("a storm on the coast", "the price of bread", "a new bridge")
_RESPONSE = "The town opened its new bridge on Monday."


def parity_requests(loras: Sequence[Path], able: frozenset[Capability]) -> list[GenerateRequest]:
    """Every prompt without an adapter and with each LoRA, and a contrast of the two."""
    spec = GenerationSpec(NEW_TOKENS)
    stacks: list[Weights] = [(), *((path,) for path in loras)]
    found = [
        GenerateRequest(f"{topic}, adapter {number}", _prompt(topic), weights, spec)
        for topic in _TOPICS
        for number, weights in enumerate(stacks)
    ]
    if loras and Capability.CONTRAST in able:
        against = replace(spec, contrast=Contrast((), alpha=0.3, tau=0.1))
        found += [
            GenerateRequest(f"{topic}, contrast", _prompt(topic), (loras[0],), against)
            for topic in _TOPICS
        ]
    return found


def parity_scores(loras: Sequence[Path], able: frozenset[Capability]) -> list[ScoreRequest]:
    """A response to every prompt without an adapter and with each LoRA, if it is able to score."""
    if Capability.SCORE not in able:
        return []
    stacks: list[Weights] = [(), *((path,) for path in loras)]
    return [
        ScoreRequest(f"{topic}, adapter {number}", _prompt(topic), _RESPONSE, weights)
        for topic in _TOPICS
        for number, weights in enumerate(stacks)
    ]


def _prompt(topic: str) -> Prompt:
    return Prompt("You write for a newspaper.", (Piece(f"Write one sentence about {topic}."),))


def answered_tokens(
    engine: Engine, requests: Sequence[GenerateRequest]
) -> dict[str, tuple[int, ...]]:
    """The tokens of answers by request."""
    return {each.id: each.token_ids for each in engine.generate(requests)} if requests else {}


def scored_logprobs(
    engine: Engine, requests: Sequence[ScoreRequest]
) -> dict[str, tuple[float, ...]]:
    """The log-probabilities of responses by request."""
    return {each.id: each.logprobs for each in engine.score(requests)} if requests else {}


def parity_lora(model: Any) -> LoraSpec:
    """The shape of the LoRAs that a model is asked with."""
    from lampbench.engine.lora_init import linear_layers

    kinds = sorted({name.rpartition(".")[2] for name in linear_layers(model)})
    usual = [kind for kind in ("q_proj", "v_proj") if kind in kinds]
    return LoraSpec(8, 16, 0.0, tuple(usual or kinds[:1]))


def parity_jobs(lora: LoraSpec, folder: Path) -> list[TrainJob]:
    """Short trainings of three users with records of different lengths, saved below `folder`."""
    optim = OptimSpec(
        learning_rate=1e-3, epochs=1, batch_size=2, weight_decay=0.0, warmup_ratio=0.0,
        max_grad_norm=1.0,
    )  # fmt: skip
    return [
        TrainJob(
            id=f"training {number}",
            frozen=(),
            data=tuple(
                SFTExample(_prompt(topic), " ".join([_RESPONSE] * (1 + (number + n) % 3)))
                for n, topic in enumerate(_TOPICS)
            ),
            adapter=lora,
            optim=optim,
            seed=number,
            output=folder / str(number) / "adapter",
            scratch=folder / str(number) / "scratch",
        )
        for number in range(3)
    ]


def random_loras(reference: Any, folder: Path, count: int = 2) -> list[Path]:
    """Random LoRAs of the model of a reference engine, strong enough to change answers."""
    import torch

    from lampbench.engine.adapter_files import write_adapter
    from lampbench.engine.lora_init import initial_matrices, peft_config

    model, base = reference.model, reference.base
    lora, made = parity_lora(model), []
    for number in range(count):
        matrices = initial_matrices(model, lora, seed=number)
        noise = torch.Generator().manual_seed(number)
        for first, second in matrices.values():
            second.normal_(0, float(first.std()), generator=noise)
        path = folder / f"lora-{number}"
        write_adapter(path, peft_config(model, lora, base), matrices)
        made.append(path)
    return made
