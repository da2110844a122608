"""An engine that is asked for nothing but what it can do."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lampbench.engine.capability import Capability, in_words, needs_of
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
from lampbench.util.errors import LampbenchError


class GuardedEngine:
    """Passes requests on to `engine`, if it is `able` to do what every one of them needs.

    All requests of a call are checked before the first is passed on. `name` is the engine's, and
    `others_able` names the engines that can do something.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        able: frozenset[Capability],
        others_able: Callable[[frozenset[Capability]], Sequence[str]],
    ) -> None:
        self.engine = engine
        self._name, self._able, self._others_able = name, able, others_able

    @property
    def device(self) -> str:
        """Where the engine computes; "auto" if it does not say."""
        return str(getattr(self.engine, "device", "auto"))

    @property
    def batching(self) -> dict[str, int]:
        """The most that a pass of the engine holds; empty if it does not say."""
        return dict(getattr(self.engine, "batching", {}))

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts.

        Raises:
            LampbenchError: the engine cannot do what a request asks; none was passed on.
        """
        self._require(requests)
        return self.engine.generate(requests)

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of given responses.

        Raises:
            LampbenchError: as `generate`.
        """
        self._require(requests)
        return self.engine.score(requests)

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters.

        Raises:
            LampbenchError: as `generate`.
        """
        self._require(jobs)
        return self.engine.train(jobs, on_step)

    def combine(self, job: CombineJob) -> None:
        """Add up adapters.

        Raises:
            LampbenchError: as `generate`.
        """
        self._require([job])
        self.engine.combine(job)

    def _require(self, asked: Sequence[Any]) -> None:
        needed: frozenset[Capability] = frozenset().union(*map(needs_of, asked))
        if lacking := needed - self._able:
            others = self._others_able(needed)
            remedy = f"--engine {others[0]} can" if others else "no engine that is here can"
            raise LampbenchError(f"engine {self._name} cannot {in_words(lacking)}; {remedy}")
