"""Why a method scores as it does: what each training stage does to the users' real texts.

ROUGE sees only the words that were chosen. Here the user's own words are scored instead: how likely
each stage makes them on queries it never saw, whether the implicit user reward (CoPe, equation 2
with alpha = 1) tells them from others' words, what DPO did to its preferences, and where
contrastive decoding chooses other tokens.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lampbench.core.dataset import Query, Record, User
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, Weights
from lampbench.execution.plan import Plan
from lampbench.plugin.adaptation import UserDPO
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.context import Context
from lampbench.plugin.recipe_graph import build_order
from lampbench.report.statistics import Paired
from lampbench.study.chosen_tokens import (
    Changes,
    Choosing,
    chosen_tokens,
    contrast_changes,
    generate_in_order,
    token_choices,
)
from lampbench.study.own_adapters import require_own_adapters
from lampbench.study.reference_scores import (
    Asked,
    ReferenceScores,
    compared_with_before,
    score_texts,
)
from lampbench.study.swapped_adapters import Swap, swaps
from lampbench.util.errors import LampbenchError

WordPairs = list[tuple[User, Query | Record, str, str]]
"""User, item, the user's own words and others'."""

UNTRAINED = "model"


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a stage makes the references of the test queries.

    `nats` is the mean over queries of the mean negative log-probability of a reference's tokens
    (with the end of turn); `gain` compares with the stage before, positive where this one is
    better, None for the untrained model.
    """

    stage: str
    nats: float
    gain: Paired | None


@dataclass(frozen=True, slots=True)
class Preferring:
    """How a stage's reward ranks the user's own words against others' words.

    `margin` is the mean of r(own) - r(other) in nats, where r sums log p_stage - log p_base over
    an answer's tokens; `right` the share of pairs where it is positive; `pairs` their number.
    """

    stage: str
    on: str
    margin: float
    right: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Likelihoods by stage, in the order of training, swaps where a stage trains per user,
    preferences where a stage has a base, and choices where decoding is contrastive (`changes` is
    None where it is not).
    """

    likelihoods: tuple[Likelihood, ...]
    swaps: tuple[Swap, ...]
    preferences: tuple[Preferring, ...]
    choices: tuple[Choosing, ...]
    changes: Changes | None


def diagnose_plan(plan: Plan) -> Diagnosis:
    """Score the users' texts under each stage of a plan; trains nothing.

    Raises:
        LampbenchError: the method trains and contrasts nothing, or on other histories than the
            users' own; its artifacts are not in the cache, or no test query has a reference.
    """
    method = plan.method
    parts = [part for part in (method.adaptation, method.decoding) if part is not None]
    stages = [part for part in build_order(parts) if isinstance(part, AdapterRecipe)]
    if not stages and not method.decoding.sides:
        raise LampbenchError(
            f"method {method.name} trains nothing and contrasts nothing, so there is nothing to "
            "diagnose"
        )
    require_own_adapters(plan, stages)
    if missing := [stage.name for stage in plan.stages if stage.missing(plan.executor)]:
        raise LampbenchError(
            f"{method.name} on {plan.executor.task.name}: {', '.join(missing)} not in the cache "
            f"{plan.executor.cache.root}; run the same options with `lampbench run` first"
        )
    asked = [
        (user, query, query.reference)
        for user in plan.executor.dataset.test_users
        for query in user.queries
        if query.reference
    ]
    if not asked:
        raise LampbenchError(
            f"{plan.executor.dataset.source}: no test query has a reference, and references are "
            "what is scored; choose data with references"
        )
    ways = chosen_tokens(plan, asked)
    references = ReferenceScores(plan, asked)
    return Diagnosis(
        tuple(_likelihoods(plan, stages, references)),
        tuple(swaps(plan, stages, references)),
        tuple(_preferences(plan, stages, asked)),
        tuple(token_choices(ways, asked)),
        contrast_changes(ways),
    )


def _likelihoods(
    plan: Plan, stages: Sequence[AdapterRecipe], references: ReferenceScores
) -> Iterator[Likelihood]:
    executor = plan.executor
    by_stage = {
        stage.section if stage else UNTRAINED: references.under(
            {user.id: executor.weights(stage, user) for user in executor.dataset.test_users}
        )
        for stage in (None, *stages)
    }
    for name, mean, gain in compared_with_before(by_stage, math.inf):
        yield Likelihood(name, -mean, gain)


def _preferences(plan: Plan, stages: Sequence[AdapterRecipe], asked: Asked) -> Iterator[Preferring]:
    """On the records that DPO trained on, with their negatives, and on test queries, where the
    others' words are the base model's own greedy answer.
    """
    executor = plan.executor
    for dpo in (stage for stage in stages if isinstance(stage, UserDPO)):
        trained: WordPairs = [
            (user, record, record.target, negative)
            for user in executor.dataset.test_users
            for record, negative in zip(
                user.history, dpo.negatives.texts(executor, user), strict=True
            )
        ]
        answers = _greedy(
            plan, [(user, query, dpo.start.base(executor, user)) for user, query, _ in asked]
        )
        tested: WordPairs = [
            (user, query, reference, answer)
            for (user, query, reference), answer in zip(asked, answers, strict=True)
        ]
        sources = {"history, sampled negatives": trained, "test, greedy base answers": tested}
        for on, pairs in sources.items():
            base = _margins(plan, pairs, dpo.start.base)
            for stage in (dpo.start, dpo):
                margins = [
                    own - other
                    for own, other in zip(_margins(plan, pairs, stage.weights), base, strict=True)
                ]
                right = sum(margin > 0 for margin in margins) / len(margins)
                mean = math.fsum(margins) / len(margins)
                yield Preferring(stage.section, on, mean, right, len(margins))


def _margins(
    plan: Plan, pairs: WordPairs, weights: Callable[[Context, User], Weights]
) -> list[float]:
    """Log p(own) less log p(other) of each pair under some weights of the user."""
    texts = [
        (user, item, text, weights(plan.executor, user))
        for user, item, own, other in pairs
        for text in (own, other)
    ]
    sums = [math.fsum(logprobs) for logprobs in score_texts(plan, texts)]
    return [own - other for own, other in zip(sums[0::2], sums[1::2], strict=True)]


def _greedy(plan: Plan, asked: Sequence[tuple[User, Query, Weights]]) -> list[str]:
    """Greedy answers of given weights."""
    decoding = plan.method.decoding
    spec = GenerationSpec(decoding.max_new_tokens, decoding.repetition_penalty, decoding.penalty_on)
    requests = [
        GenerateRequest(str(at), plan.executor.prompt(user, query), weights, spec)
        for at, (user, query, weights) in enumerate(asked)
    ]
    return [answer.text for answer in generate_in_order(plan, requests)]
