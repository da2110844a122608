"""Steering vectors: a direction in a layer's outputs that stands for a user's style."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import User
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import (
    OptimSpec,
    PreferencePair,
    SteeringSpec,
    TrainJob,
    Weights,
)
from lampbench.plugin.adaptation import TaskSFT
from lampbench.plugin.context import Context, UserRecipe, WeightsSource
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.negatives import Samples

_NO_STEPS = OptimSpec(0.0, 1, 1, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class SteeringVector(UserRecipe, WeightsSource):
    """StyleVector (Zhang et al., 2025): the mean difference between a layer's outputs at the end of
    the user's texts and at the end of generic answers to the same prompts, added to that layer
    while answering.

    `generic` are these answers, written by a model that knows nothing of the user. `start` is the
    adapter that the vector is added to; None is the model as released.
    """

    name: ClassVar = "steering_vector"
    section = "steering_vector"

    generic: Samples = Samples(n=1)
    start: TaskSFT | None = None
    depth: float = hyper("which layer: 0 is the first, 1 the last", default=0.5, low=0.0, high=1.0)
    strength: float = hyper("factor of the mean difference", default=1.0, low=0.0)

    def needs(self) -> frozenset[Capability]:
        """A vector read off a layer's outputs."""
        return frozenset({Capability.STEERING})

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Read the vectors off the model's outputs, for all users in one call of the engine."""
        yield from context.train_users(self, [(user, self.job(context, user)) for user in users])

    def job(self, context: Context, user: User) -> TrainJob:
        """One pair per record: what the user wrote, and a generic answer."""
        texts = context.get(self.generic, user)["texts"]
        pairs = tuple(
            PreferencePair(context.prompt(user, record), record.target, answers[0])
            for record, answers in zip(user.history, texts, strict=True)
        )
        spec = SteeringSpec(self.depth, self.strength)
        frozen = self.base(context, user)
        return context.job(self, pairs, spec, _NO_STEPS, user=user, frozen=frozen)

    def base(self, context: Context, user: User) -> Weights:
        """The adapters below the vector."""
        return context.weights(self.start, user)

    def weights(self, context: Context, user: User) -> Weights:
        """The vector on top of `start`'s adapter."""
        return (*self.base(context, user), context.adapter(self, user))
