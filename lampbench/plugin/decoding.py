"""Decoding, the third choice of a method: how the answer's tokens are chosen."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import User
from lampbench.engine.protocol import (
    Completion,
    Contrast,
    GenerateRequest,
    GenerationSpec,
    PenaltyOn,
)
from lampbench.plugin.context import Context, WeightsSource
from lampbench.plugin.hyperparameter import Part, hyper


@dataclass(frozen=True, kw_only=True)
class Decoding(Part):
    """What all kinds of decoding share; the settings are the same for all methods."""

    section = "decoding"

    max_new_tokens: int = hyper("token budget of an answer", low=1)
    repetition_penalty: float = hyper("p^penalty for tokens already seen; 1.0 is none", low=1e-6)
    penalty_on: PenaltyOn = hyper("where the penalty acts", choices=("scores", "logits"))

    @abstractmethod
    def spec(self, context: Context, user: User) -> GenerationSpec:
        """How to decode for this user."""

    @property
    def answers_per_query(self) -> int:
        """How many answers to a query are generated."""
        return 1

    def require_valid(self) -> None:
        """Called when a run is planned, with every setting set.

        Raises:
            LampbenchError: settings that do not fit together.
        """

    def answers(
        self, context: Context, asked: Sequence[tuple[User, Sequence[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[Completion]]]:
        """Carry out a method's requests, one per query: each user with one answer per request.

        A decoding that generates several answers overrides this and chooses. It may call
        `context.answer` and `context.score` as often as it needs.
        """
        for user, answers in context.answer(asked):
            yield user, [answer for (answer,) in answers]


@dataclass(frozen=True)
class Greedy(Decoding):
    """The most probable token."""

    name: ClassVar = "greedy"

    def spec(self, context: Context, user: User) -> GenerationSpec:
        """The same for every user."""
        return GenerationSpec(self.max_new_tokens, self.repetition_penalty, self.penalty_on)


@dataclass(frozen=True)
class Contrastive(Decoding):
    """Reward-guided decoding (CoPe, equations 1 to 3): the user's weights against others.

    `against` is the recipe of the base model in the equations (the paper: TAM); None contrasts
    with the untouched model (Figure 3a, "init").
    """

    name: ClassVar = "contrastive"
    against: WeightsSource | None = None
    alpha: float = hyper("contrast weight of equation 2", low=0.0)
    tau: float = hyper("plausibility threshold of equation 1", low=0.0, high=1.0)

    def spec(self, context: Context, user: User) -> GenerationSpec:
        """The contrast with this user's `against` weights."""
        against = context.weights(self.against, user)
        contrast = Contrast(against, self.alpha, self.tau, context.fidelity.log_eps)
        return GenerationSpec(
            self.max_new_tokens,
            self.repetition_penalty,
            self.penalty_on,
            contrast=contrast,
            rewards=context.rewards,
        )
