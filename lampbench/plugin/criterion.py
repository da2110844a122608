"""What reranking chooses by: a model's opinion of the candidates, or their likeness to the past."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import User
from lampbench.engine.protocol import ScoreRequest, ScoreResult, Weights
from lampbench.plugin.context import Context, WeightsSource
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.metric import Answer, Metric
from lampbench.plugin.reranking import CandidateAnswers, Criterion
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class ImplicitReward(Criterion):
    """The user's implicit reward: log p_of(answer) - log p_over(answer), summed over its tokens.

    Equation 2 of CoPe (Bu et al., 2025) with alpha = 1, over a whole answer as in equation 5. `of`
    is the user's model, `over` the base model; None is the model as released.
    """

    name: ClassVar = "implicit_reward"
    models_asked: ClassVar = 2

    of: WeightsSource | None = None
    over: WeightsSource | None = None

    def rate(
        self, context: Context, candidates: Sequence[CandidateAnswers]
    ) -> Iterator[tuple[User, list[list[float]]]]:
        """Score all candidates under both models in one call of the engine."""
        for user, rows in scored(context, candidates, (self.of, self.over)):
            yield user, [[_total(own) - _total(base) for own, base in row] for row in rows]


@dataclass(frozen=True)
class AnswerLikelihood(Criterion):
    """Mean log-probability per token of an answer, end of turn included, under `under`'s weights.

    None is the model as released.
    """

    name: ClassVar = "answer_likelihood"
    models_asked: ClassVar = 1

    under: WeightsSource | None = None

    def rate(
        self, context: Context, candidates: Sequence[CandidateAnswers]
    ) -> Iterator[tuple[User, list[list[float]]]]:
        """Score all candidates in one call of the engine."""
        for user, rows in scored(context, candidates, (self.under,)):
            yield user, [[_total(one) / len(one.logprobs) for (one,) in row] for row in rows]


@dataclass(frozen=True)
class HistorySimilarity(Criterion):
    """The mean of a metric that compares an answer with each of the user's past texts.

    A past text for which the metric is not defined is passed over; an answer for which it is
    defined nowhere ranks last. Of a metric where lower is better, the negative counts.
    """

    name: ClassVar = "history_similarity"

    metric: str = hyper("metric by name", default="rougeL", metric=True)

    def rate(
        self, context: Context, candidates: Sequence[CandidateAnswers]
    ) -> Iterator[tuple[User, list[list[float]]]]:
        """Compare each candidate with each record of the history."""
        metric = comparing_metric(context, self.metric)
        for each in candidates:
            queries = zip(each.user.queries, each.texts, strict=True)
            yield (
                each.user,
                [
                    [_similarity(metric, each.user, query.id, text) for text in texts]
                    for query, texts in queries
                ],
            )


def comparing_metric(context: Context, name: str) -> Metric:
    """A metric that compares two texts and says which end is better.

    Raises:
        LampbenchError: it does not, it cannot be computed here, or there is none of this name.
    """
    metric = context.metric(name)
    if not metric.compares or metric.better == "neither" or metric.batched:
        raise LampbenchError(
            f"metric {name} cannot choose answers: it must compare one answer with one text and "
            "say which end is better; take rougeL, for example"
        )
    if (missing := metric.missing()) is not None:
        raise LampbenchError(f"metric {name} cannot be computed here: {missing}")
    return metric


def scored(
    context: Context,
    candidates: Sequence[CandidateAnswers],
    sources: Sequence[WeightsSource | None],
) -> Iterator[tuple[User, list[list[list[ScoreResult]]]]]:
    """Each user with log-probabilities by request, candidate and source of weights."""
    work, shapes = [], {}
    for each in candidates:
        models: list[Weights] = [context.weights(source, each.user) for source in sources]
        shapes[each.user.id] = [len(texts) for texts in each.texts]
        work.append(
            (
                each.user,
                [
                    ScoreRequest(request.id, request.prompt, text, weights)
                    for request, texts in zip(each.requests, each.texts, strict=True)
                    for text in texts
                    for weights in models
                ],
            )
        )
    for user, scores in context.score(work):
        left = iter(scores)
        yield (
            user,
            [[[next(left) for _ in sources] for _ in range(count)] for count in shapes[user.id]],
        )


def _total(score: ScoreResult) -> float:
    return math.fsum(score.logprobs)


def _similarity(metric: Metric, user: User, query: str, text: str) -> float:
    history = tuple(record.target for record in user.history)
    compared = (
        metric.score(Answer(user.id, query, text.strip(), past.strip(), history=history))
        for past in history
    )
    values = [float(value) for value in compared if value is not None]
    if not values:
        return -math.inf
    mean = math.fsum(values) / len(values)
    return -mean if metric.better == "lower" else mean
