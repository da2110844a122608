"""Decodings that generate several answers, and choose one of them by a score."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lampbench.core.dataset import User
from lampbench.engine.protocol import Completion, GenerateRequest, GenerationSpec, Sampling
from lampbench.plugin.context import Context
from lampbench.plugin.decoding import Decoding
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.side import Side
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class Sampled(Decoding):
    """Answers drawn from the model; several of them only inside a part that chooses one."""

    name: ClassVar = "sampled"
    n: int = hyper("answers drawn per query", default=1, low=1)
    temperature: float = hyper("softmax temperature of the draws", default=1.0, low=1e-6)
    top_p: float = hyper(
        "nucleus of the draws; 1.0 is the whole distribution", default=1.0, low=1e-6, high=1.0
    )

    @property
    def answers_per_query(self) -> int:
        """`n`."""
        return self.n

    def require_valid(self) -> None:
        """Refuse several answers that nothing chooses from."""
        if self.n != 1:
            raise LampbenchError(
                f"decoding.n is {self.n}, and nothing chooses among {self.n} answers: write "
                "decoding = Reranked(Sampled(...), by=...), or set decoding.n to 1; a predict() of "
                f"your own that chooses asks for replace(request, samples={self.n})"
            )

    def spec(self, context: Context, user: User) -> GenerationSpec:
        """The same for every user."""
        return GenerationSpec(
            self.max_new_tokens,
            self.repetition_penalty,
            self.penalty_on,
            sampling=Sampling(self.temperature, self.top_p),
        )


@dataclass(frozen=True, slots=True)
class CandidateAnswers:
    """A user's requests, one per query, and for each the texts that were generated."""

    user: User
    requests: Sequence[GenerateRequest]
    texts: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Criterion(Part):
    """What answers are chosen by.

    `models_asked` is how many models read every candidate, for the estimate of a plan's cost.
    """

    section = "choice"
    models_asked: ClassVar[int] = 0

    @abstractmethod
    def rate(
        self, context: Context, candidates: Sequence[CandidateAnswers]
    ) -> Iterator[tuple[User, list[list[float]]]]:
        """Each user with one number per request and candidate, in order; the highest is chosen.

        All users are given at once, so that what a model has to score shares batches.
        """


@dataclass(frozen=True)
class Reranked(Decoding):
    """Best of n: generate several answers to each query, keep the one rated highest.

    Among equals the first is kept. The candidates are decoded under the method's own prompt and
    weights.
    """

    name: ClassVar = "reranked"
    candidates: Decoding = field(default_factory=Sampled)
    by: Criterion | None = None

    @property
    def answers_per_query(self) -> int:
        """As many as there are candidates."""
        return self.candidates.answers_per_query

    @property
    def sides(self) -> tuple[Side, ...]:
        """Those of the candidates."""
        return self.candidates.sides

    def require_valid(self) -> None:
        """Refuse a choice without a criterion."""
        if self.by is None:
            raise LampbenchError("Reranked needs a criterion: write Reranked(..., by=...)")

    def spec(self, context: Context, user: User) -> GenerationSpec:
        """That of the candidates."""
        return self.candidates.spec(context, user)

    def answers(
        self, context: Context, asked: Sequence[tuple[User, Sequence[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[Completion]]]:
        """Generate for all users, rate all candidates, choose."""
        assert self.by is not None
        requests = {user.id: given for user, given in asked}
        drawn = {user.id: answers for user, answers in context.answer(asked)}
        candidates = [
            CandidateAnswers(
                user, requests[user.id], [[one.text for one in row] for row in drawn[user.id]]
            )
            for user, _ in asked
        ]
        for user, ratings in self.by.rate(context, candidates):
            rows = zip(drawn[user.id], ratings, strict=True)
            yield user, [row[self._best(user, rated, len(row))] for row, rated in rows]

    def _best(self, user: User, ratings: Sequence[float], answers: int) -> int:
        if len(ratings) != answers:
            raise LampbenchError(
                f"{type(self.by).__name__} gave {len(ratings)} ratings for {answers} answers for "
                f"user {user.id}; fix its rate()"
            )
        if any(math.isnan(rating) for rating in ratings):
            raise LampbenchError(
                f"{type(self.by).__name__} rated an answer for user {user.id} with NaN; fix its "
                "rate()"
            )
        return max(range(len(ratings)), key=ratings.__getitem__)
