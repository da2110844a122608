"""What an engine does: generate answers, score responses, train adapters.

A caller passes all requests of a kind in one call. Each request names the adapters to use, so one
call may mix users. An engine may batch and reorder requests and share work between them, as long as
no result in float32 depends on the other requests in the call. In bfloat16 and float16 the rounding
of a batch may turn a near tie. It yields each result as soon as it is ready.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from lampbench.engine.requests import (
    Completion,
    Contrast,
    GenerateRequest,
    GenerationSpec,
    PenaltyOn,
    Sampling,
    ScoreFormat,
    ScoreRequest,
    ScoreResult,
    Served,
    Weights,
)
from lampbench.engine.train_jobs import (
    AdapterSpec,
    CombineJob,
    DoraSpec,
    DPOSpec,
    GateSpec,
    IA3Spec,
    LoraSpec,
    OptimSpec,
    PiecesSpec,
    PreferencePair,
    PrefixSpec,
    SFTExample,
    SoftPromptSpec,
    SteeringSpec,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
)

__all__ = [
    "AdapterSpec",
    "CombineJob",
    "Completion",
    "Contrast",
    "DPOSpec",
    "DoraSpec",
    "Engine",
    "GateSpec",
    "GenerateRequest",
    "GenerationSpec",
    "IA3Spec",
    "LoraSpec",
    "OptimSpec",
    "PenaltyOn",
    "PiecesSpec",
    "PreferencePair",
    "PrefixSpec",
    "SFTExample",
    "Sampling",
    "ScoreFormat",
    "ScoreRequest",
    "ScoreResult",
    "Served",
    "SoftPromptSpec",
    "SteeringSpec",
    "StepHook",
    "TrainFailure",
    "TrainJob",
    "TrainResult",
    "Weights",
]


class Engine(Protocol):
    """Runs one model. Results may come in any order and carry the id of their request."""

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts: one completion per request and sample."""
        ...

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of given responses: one result per request."""
        ...

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters: one result or failure per job."""
        ...

    def combine(self, job: CombineJob) -> None:
        """Add up adapters.

        Raises:
            LampbenchError: an adapter is missing, damaged or not a plain LoRA.
        """
        ...
