"""Why a method scores as it does: what each training stage does to the users' real texts.

ROUGE sees only the words that were chosen. Here the user's own words are scored instead: how likely
each stage makes them on queries it never saw, whether the implicit user reward (CoPe, equation 2
with alpha = 1) tells them from others' words, what DPO did to its preferences, and where
contrastive decoding chooses other tokens.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lampbench.core.dataset import Query, Record, User
from lampbench.engine.protocol import (
    Completion,
    GenerateRequest,
    GenerationSpec,
    Weights,
)
from lampbench.execution.plan import Plan
from lampbench.plugin.adaptation import UserDPO
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.context import Context
from lampbench.plugin.recipe_graph import build_order
from lampbench.report.metric_range import difference_of_at_most
from lampbench.report.statistics import Paired, Scores
from lampbench.study.own_adapters import require_own_adapters
from lampbench.study.reference_scores import Asked, ReferenceScores, score_texts
from lampbench.study.swapped_adapters import Swap, swaps
from lampbench.util.errors import LampbenchError

WordPairs = list[tuple[User, Query | Record, str, str]]
"""User, item, the user's own words and others'."""

UNTRAINED = "model"
_ALONE, _CONTRAST = "user's model alone", "contrast"


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
class Choosing:
    """How often a decoding chooses the user's own next token, given the user's own words so far.

    `right` is the mean over queries of the share of a reference's tokens (its end of turn is one),
    up to the token budget; `gain` compares with the way before, None for the first.
    """

    by: str
    right: float
    gain: Paired | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Where the contrast chooses another token than the user's weights alone would.

    Of `tokens` along all references it does so at `changed`; there the weights alone were right
    `before` times, and the contrast is `after` times.
    """

    tokens: int
    changed: int
    before: int
    after: int


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
    ways = _ways(plan, asked)
    references = ReferenceScores(plan, asked)
    return Diagnosis(
        tuple(_likelihoods(plan, stages, references)),
        tuple(swaps(plan, stages, references)),
        tuple(_preferences(plan, stages, asked)),
        tuple(_choices(ways, asked)),
        _changes(ways[_ALONE], ways[_CONTRAST]) if ways else None,
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
    for name, mean, gain in _compared(by_stage, math.inf):
        yield Likelihood(name, -mean, gain)


def _compared(
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
    return [answer.text for answer in _generate(plan, requests)]


def _ways(plan: Plan, asked: Asked) -> dict[str, list[Completion]]:
    """The tokens that are chosen along every reference, by each side alone and by their contrast;
    empty where the method does not contrast.

    A side alone chooses within its own plausible set too, and is penalised for repeating its own
    prompt: under a repetition penalty the set changes what is chosen, and that is not the
    contrast's doing.
    """
    requests: dict[str, list[GenerateRequest]] = {}
    for at, (user, query, reference) in enumerate(asked):
        decoding = plan.method.decoding
        spec = replace(decoding.spec(plan.executor, user), rewards=False)
        if spec.contrast is None:
            return {}
        alone = replace(spec, contrast=replace(spec.contrast, alpha=0.0, own=1.0, more=()))
        contrast = GenerateRequest(
            str(at),
            plan.executor.prompt(user, query),
            plan.executor.own_weights(user),
            spec,
            teacher_text=reference,
            other_prompts=decoding.other_prompts(plan.executor, user, query),
        )
        sides = zip(_side_names(contrast), contrast.prompts[1:], spec.contrast.others, strict=True)
        by_way = {
            name: replace(contrast, prompt=prompt, weights=weights, spec=alone, other_prompts=())
            for name, prompt, (weights, _) in sides
        }
        by_way[_ALONE] = replace(contrast, spec=alone, other_prompts=())
        by_way[_CONTRAST] = contrast
        for way, request in by_way.items():
            requests.setdefault(way, []).append(request)
    return {way: _generate(plan, some) for way, some in requests.items()}


def _side_names(contrast: GenerateRequest) -> list[str]:
    """What the sides beside the method's own are called in tables."""
    count = len(contrast.prompts) - 1
    if count > 1:
        return [f"side {number} alone" for number in range(1, count + 1)]
    return ["other side alone" if contrast.other_prompts else "base model alone"]


def _choices(ways: Mapping[str, Sequence[Completion]], asked: Asked) -> Iterator[Choosing]:
    shares = {
        way: {
            (user.id, query.id): sum(_hits(answer)) / len(answer.teacher_ids)
            for (user, query, _), answer in zip(asked, answers, strict=True)
        }
        for way, answers in ways.items()
    }
    for way, mean, gain in _compared(shares, 1.0):
        yield Choosing(way, mean, gain)


def _changes(alone: Sequence[Completion], contrast: Sequence[Completion]) -> Changes:
    tokens = changed = before = after = 0
    for one, other in zip(alone, contrast, strict=True):
        differ = [a != b for a, b in zip(one.token_ids, other.token_ids, strict=True)]
        tokens += len(differ)
        changed += sum(differ)
        before += sum(itertools.compress(_hits(one), differ))
        after += sum(itertools.compress(_hits(other), differ))
    return Changes(tokens, changed, before, after)


def _hits(answer: Completion) -> list[bool]:
    return [a == b for a, b in zip(answer.token_ids, answer.teacher_ids, strict=True)]


def _generate(plan: Plan, requests: Sequence[GenerateRequest]) -> list[Completion]:
    """Answers in the order of the requests."""
    executor = plan.executor
    answers = executor.engines.get(executor.model, executor.engine_of(None)).generate(requests)
    found = {answer.id: answer for answer in answers}
    return [found[request.id] for request in requests]
