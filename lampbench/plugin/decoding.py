"""Decoding, the third choice of a method: how the answer's tokens are chosen."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.core.prompt import Prompt
from lampbench.engine.protocol import (
    Completion,
    GenerateRequest,
    GenerationSpec,
    PenaltyOn,
)
from lampbench.plugin.context import Context
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.side import Side
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, kw_only=True)
class Decoding(Part):
    """What all kinds of decoding share; the settings are the same for all methods."""

    section = "decoding"

    max_new_tokens: int = hyper("token budget of an answer", low=1)
    repetition_penalty: float = hyper("p^penalty for tokens already seen; 1.0 is none", low=1e-6)
    penalty_on: PenaltyOn = hyper("where the penalty acts", choices=("scores", "logits"))

    @abstractmethod
    def spec(self, context: Context, user: User) -> GenerationSpec:
        """How to decode for this user.

        Raises:
            LampbenchError: a subclass does not define it.
        """
        raise no_spec(self)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides beside the method's own, in the order of `spec(...).contrast.others`."""
        return ()

    def other_prompts(
        self, context: Context, user: User, item: Query | Record
    ) -> tuple[Prompt | None, ...]:
        """The prompt of each of `sides`, None for the method's own; () if all read that."""
        prompts = [side.prompt(context, user, item) for side in self.sides]
        return tuple(prompts) if any(one is not None for one in prompts) else ()

    @property
    def answers_per_query(self) -> int:
        """How many answers a request asks for."""
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


def no_spec(decoding: Decoding) -> LampbenchError:
    """The error for a decoding that says nothing of how tokens are chosen."""
    return LampbenchError(
        f"{type(decoding).__name__} has no spec(): define it, or derive from Greedy"
    )
