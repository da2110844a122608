"""Log-probabilities of users' texts under given weights, from a plan's model."""

import math
from collections.abc import Iterator, Mapping, Sequence

from lampbench.core.dataset import Query, Record, User
from lampbench.engine.protocol import ScoreRequest, Weights
from lampbench.execution.plan import Plan
from lampbench.report.metric_range import difference_of_at_most
from lampbench.report.statistics import Paired, Scores

Asked = Sequence[tuple[User, Query, str]]
"""User, test query and its reference."""


class ReferenceScores:
    """How likely the references of test queries are under some weights; each scored once."""

    def __init__(self, plan: Plan, asked: Asked) -> None:
        self._plan, self._asked = plan, asked
        self._known: dict[tuple[Weights, ...], Scores] = {}

    def under(self, weights: Mapping[str, Weights]) -> Scores:
        """By (user, query) the mean log-probability (nats) of the reference's tokens, with the end
        of turn; `weights` are those that answer, by user.
        """
        place = tuple(weights[user.id] for user, _, _ in self._asked)
        if place not in self._known:
            texts = [
                (user, query, reference, one)
                for (user, query, reference), one in zip(self._asked, place, strict=True)
            ]
            means = [math.fsum(found) / len(found) for found in score_texts(self._plan, texts)]
            self._known[place] = {
                (user.id, query.id): mean
                for (user, query, _), mean in zip(self._asked, means, strict=True)
            }
        return self._known[place]


def score_texts(
    plan: Plan, texts: Sequence[tuple[User, Query | Record, str, Weights]]
) -> list[tuple[float, ...]]:
    """Natural-log probabilities of each text's tokens after the item's prompt."""
    requests = [
        ScoreRequest(str(at), plan.executor.prompt(user, item), text, weights)
        for at, (user, item, text, weights) in enumerate(texts)
    ]
    executor = plan.executor
    scores = executor.engines.get(executor.model, executor.engine_of(None)).score(requests)
    found = {score.id: score.logprobs for score in scores}
    return [found[request.id] for request in requests]


def compared_with_before(
    by_name: Mapping[str, Scores], most: float
) -> Iterator[tuple[str, float, Paired | None]]:
    """For each name its mean over the queries, and its gain over the name before.

    No two scores differ by more than `most`.
    """
    before: Scores | None = None
    for name, found in by_name.items():
        mean = math.fsum(found.values()) / len(found)
        yield name, mean, difference_of_at_most(most, found, before) if before else None
        before = found
