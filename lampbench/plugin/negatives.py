"""Synthetic negatives: sample candidates, keep the one with the lowest user reward (CoPe 3.3)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import Record, User
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import (
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
    Weights,
)
from lampbench.plugin.context import Context, UserRecipe, WeightsSource
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.recipe_graph import adapters_of
from lampbench.util.hashing import seed_from


@dataclass(frozen=True)
class Samples(UserRecipe):
    """N candidate answers to each record of the history, drawn from the model of `sampled_from`."""

    name: ClassVar = "samples"
    section = "negatives"
    version: ClassVar = 3  # 2: random draws of the batched engine; 3: of a counter

    sampled_from: WeightsSource | None = None
    n: int = hyper("candidates per record (K in the paper)", low=1)
    temperature: float = hyper("softmax temperature of the draws", low=1e-6)
    top_p: float = hyper("nucleus of the draws; 1.0 is the whole distribution", low=1e-6, high=1.0)
    max_new_tokens: int = hyper("token budget of a candidate", low=1)

    def needs(self) -> frozenset[Capability]:
        """Sampling under the weights of `sampled_from`."""
        return frozenset({Capability.GENERATE, Capability.SAMPLE}) | adapters_of(self.sampled_from)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Sample for all users in one call of the engine."""
        spec = GenerationSpec(self.max_new_tokens, sampling=Sampling(self.temperature, self.top_p))
        work = [(user, self._requests(context, user, spec)) for user in users]
        for user, answers in context.generate(self, work):
            texts = [[answer.text for answer in samples] for samples in answers]
            context.put(self, user, {"texts": texts})
            yield user

    def _requests(
        self, context: Context, user: User, spec: GenerationSpec
    ) -> list[GenerateRequest]:
        return [
            GenerateRequest(
                id=record.id,
                prompt=context.prompt(user, record),
                weights=context.weights(self.sampled_from, user),
                spec=spec,
                samples=self.n,
                seed=seed_from(context.seed, user.id, self.section, record.id),
            )
            for record in user.history
        ]


@dataclass(frozen=True)
class LowestReward(UserRecipe):
    """Of each record's candidates, the one with the lowest implicit user reward (equation 5).

    The reward of an answer is the sum over its tokens of log p_user - log p_base (equation 2
    with alpha = 1); `judged_by` is the user's model, `samples.sampled_from` the base model.
    """

    name: ClassVar = "lowest_reward"
    section = "lowest_reward"

    samples: Samples = Samples()
    judged_by: WeightsSource | None = None

    def needs(self) -> frozenset[Capability]:
        """Scoring under both models; the released code's scoring of raw text is known later."""
        return frozenset({Capability.SCORE}) | adapters_of(self.judged_by, self.samples)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Score all users' candidates under both models in one call of the engine."""
        work = [(user, self._requests(context, user)) for user in users]
        for user, scores in context.score(work, self):
            summed = [self._total(context, score.logprobs) for score in scores]
            pairs = list(zip(summed[0::2], summed[1::2], strict=True))
            rewards = [own - base for own, base in pairs]
            n = self.samples.n
            table = [rewards[i : i + n] for i in range(0, len(rewards), n)]
            lowest = [row.index(min(row)) for row in table]
            context.put(self, user, {"rewards": table, "lowest": lowest})
            yield user

    def texts(self, context: Context, user: User) -> list[str]:
        """The chosen negative of each record, in the order of the history."""
        candidates = context.get(self.samples, user)["texts"]
        lowest = context.get(self, user)["lowest"]
        return [texts[i] for texts, i in zip(candidates, lowest, strict=True)]

    def _requests(self, context: Context, user: User) -> list[ScoreRequest]:
        raw = context.fidelity.raw_text_reward
        models: tuple[Weights, Weights] = (
            context.weights(self.judged_by, user),
            context.weights(self.samples.sampled_from, user),
        )
        candidates = context.get(self.samples, user)["texts"]
        return [
            ScoreRequest(
                record.id,
                raw_text(record) if raw else context.prompt(user, record),
                candidate,
                weights,
                "raw" if raw else "chat",
            )
            for record, row in zip(user.history, candidates, strict=True)
            for candidate in row
            for weights in models
        ]

    @staticmethod
    def _total(context: Context, logprobs: Sequence[float]) -> float:
        """Sum over the response's tokens; the reference code takes a mean over all tokens."""
        total = math.fsum(logprobs)
        return total / len(logprobs) if context.fidelity.raw_text_reward else total


def raw_text(record: Record) -> Prompt:
    """The record's input fields alone; the reference code scores them without an instruction."""
    return Prompt("", (Piece(" ".join(record.fields.values())),))
