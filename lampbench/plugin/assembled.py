"""A user's adapter assembled from those of other users, without training (after Per-Pcs)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import Dataset, User
from lampbench.engine.protocol import ScoreRequest, Weights
from lampbench.plugin.adaptation import user_prompt
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.borrowing import Borrowing, another_user
from lampbench.plugin.context import Context, UserRecipe, WeightsSource
from lampbench.plugin.hyperparameter import hyper
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class AssembledFromUsers(UserRecipe, Borrowing, WeightsSource):
    """The weighted sum of the k sharers' adapters under which the user's history is likeliest.

    After Per-Pcs (Tan et al., EMNLP 2024), with whole adapters as pieces. The weights are
    the softmax of the mean log-probabilities per token of the history. The sharers are the users
    who follow in a random cycle.
    """

    name: ClassVar = "assembled_from_users"
    section = "assembled"

    recipe: AdapterRecipe
    sharers: int = hyper("other users whose adapters are tried", default=8, low=1)
    k: int = hyper("adapters that are added up", default=3, low=1)
    records: int = hyper("latest records that the adapters are judged by", default=8, low=1)
    temperature: float = hyper("temperature of the weights' softmax", default=0.1, low=1e-6)

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The sharers: at most all other users."""
        found: list[User] = []
        following = another_user(dataset, seed, user) if user else None
        while user and following and following.id != user.id and len(found) < self.sharers:
            found.append(following)
            following = another_user(dataset, seed, following)
        return found

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Score all users' histories under their sharers' adapters in one call of the engine."""
        work = [(user, self._requests(context, user)) for user in users]
        for user, scores in context.score(work, self):
            adapters = [weights[-1] for weights in self._stacks(context, user)]
            each = len(scores) // len(adapters)
            means = []
            for begin in range(0, len(scores), each):
                logs = [log for one in scores[begin : begin + each] for log in one.logprobs]
                means.append(math.fsum(logs) / len(logs))
            best = sorted(range(len(means)), key=lambda i: -means[i])[: self.k]
            sizes = [math.exp((means[i] - means[best[0]]) / self.temperature) for i in best]
            total = math.fsum(sizes)
            terms = [(adapters[i], size / total) for i, size in zip(best, sizes, strict=True)]
            context.combine(self, terms, user)
            yield user

    def weights(self, context: Context, user: User) -> Weights:
        """The sum on top of what the sharers' adapters are on top of."""
        below = context.weights(self.recipe, user)[:-1]
        return (*below, context.artifact(self, user) / "adapter")

    def _stacks(self, context: Context, user: User) -> list[Weights]:
        lending = self.lenders(context.dataset, context.seed, user)
        return [context.weights(self.recipe, sharer) for sharer in lending]

    def _requests(self, context: Context, user: User) -> list[ScoreRequest]:
        """The latest records under each sharer's adapter, sharer by sharer."""
        latest = user.history[-self.records :]
        if not latest:
            raise LampbenchError(
                f"{context.dataset.source}: user {user.id} has no history to choose sharers by; "
                "raise --min-history"
            )
        return [
            ScoreRequest(record.id, user_prompt(context, user, record), record.target, weights)
            for weights in self._stacks(context, user)
            for record in latest
        ]
