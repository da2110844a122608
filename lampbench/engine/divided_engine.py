"""Two engines behind one face: what can be stacked goes to the fast one, the rest to the other."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from lampbench.engine.adapter_kind import kinds_asked
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    Engine,
    GenerateRequest,
    ScoreRequest,
    ScoreResult,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
)

Dividable = TypeVar("Dividable", GenerateRequest, ScoreRequest, TrainJob)


class DividedEngine:
    """Sends plain LoRAs, which stack in batches, to `batched`; other adapters to another engine.

    That engine is made by `other` when it is first needed. `say` is told once for each kind of
    adapter that goes there.
    """

    def __init__(
        self, batched: Engine, other: Callable[[], Engine], say: Callable[[str], object]
    ) -> None:
        self.batched = batched
        self.device = str(getattr(batched, "device", "auto"))
        self.batching: dict[str, int] = getattr(batched, "batching", {})
        self._make, self._say = other, say
        self._other: Engine | None = None
        self._told: set[str] = set()

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts: those of plain LoRAs first."""
        stacked, rest = self._divided(requests)
        if stacked:
            yield from self.batched.generate(stacked)
        if rest:
            yield from self._reference().generate(rest)

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses: those of plain LoRAs first."""
        stacked, rest = self._divided(requests)
        if stacked:
            yield from self.batched.score(stacked)
        if rest:
            yield from self._reference().score(rest)

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters: plain LoRAs first."""
        stacked, rest = self._divided(jobs)
        if stacked:
            yield from self.batched.train(stacked, on_step)
        if rest:
            yield from self._reference().train(rest, on_step)

    def combine(self, job: CombineJob) -> None:
        """Add up LoRA adapters."""
        self.batched.combine(job)

    def _divided(self, asked: Sequence[Dividable]) -> tuple[list[Dividable], list[Dividable]]:
        stacked: list[Dividable] = []
        rest: list[Dividable] = []
        for one in asked:
            odd = kinds_asked(one) - {"LORA"}
            (rest if odd else stacked).append(one)
            for kind in sorted(odd - self._told):
                self._say(
                    f"adapters of kind {kind} go through the reference engine, one user at a time: "
                    "the batched engine stacks plain LoRAs alone"
                )
            self._told |= odd
        return stacked, rest

    def _reference(self) -> Engine:
        if self._other is None:
            self._other = self._make()
        return self._other
