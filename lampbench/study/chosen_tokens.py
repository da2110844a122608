"""Which tokens contrastive decoding chooses along the users' own texts, and what it changes."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lampbench.engine.protocol import Completion, GenerateRequest
from lampbench.execution.plan import Plan
from lampbench.report.statistics import Paired
from lampbench.study.reference_scores import Asked, compared_with_before

_ALONE, _CONTRAST = "user's model alone", "contrast"


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
    """Where one way, as the contrast, chooses another token than the other, as the weights alone.

    Of `tokens` along all references it does so at `changed`; there the other was right `before`
    times, and the one is `after` times.
    """

    tokens: int
    changed: int
    before: int
    after: int


def chosen_tokens(plan: Plan, asked: Asked) -> dict[str, list[Completion]]:
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
    return {way: generate_in_order(plan, some) for way, some in requests.items()}


def _side_names(contrast: GenerateRequest) -> list[str]:
    """What the sides beside the method's own are called in tables."""
    count = len(contrast.prompts) - 1
    if count > 1:
        return [f"side {number} alone" for number in range(1, count + 1)]
    return ["other side alone" if contrast.other_prompts else "base model alone"]


def token_choices(ways: Mapping[str, Sequence[Completion]], asked: Asked) -> Iterator[Choosing]:
    """How often each way chooses the user's own next token."""
    shares = {
        way: {
            (user.id, query.id): sum(_hits(answer)) / len(answer.teacher_ids)
            for (user, query, _), answer in zip(asked, answers, strict=True)
        }
        for way, answers in ways.items()
    }
    for way, mean, gain in compared_with_before(shares, 1.0):
        yield Choosing(way, mean, gain)


def contrast_changes(ways: Mapping[str, Sequence[Completion]]) -> Changes | None:
    """What the contrast changes; None where nothing is contrasted."""
    return token_changes(ways[_ALONE], ways[_CONTRAST]) if ways else None


def token_changes(one_way: Sequence[Completion], other: Sequence[Completion]) -> Changes:
    """Where one way chooses otherwise than another, along the same texts in the same order."""
    tokens = changed = before = after = 0
    for one, two in zip(one_way, other, strict=True):
        differ = [a != b for a, b in zip(one.token_ids, two.token_ids, strict=True)]
        tokens += len(differ)
        changed += sum(differ)
        before += sum(itertools.compress(_hits(one), differ))
        after += sum(itertools.compress(_hits(two), differ))
    return Changes(tokens, changed, before, after)


def _hits(answer: Completion) -> list[bool]:
    return [a == b for a, b in zip(answer.token_ids, answer.teacher_ids, strict=True)]


def generate_in_order(plan: Plan, requests: Sequence[GenerateRequest]) -> list[Completion]:
    """Answers in the order of the requests."""
    executor = plan.executor
    answers = executor.engines.get(executor.model, executor.engine_of(None)).generate(requests)
    found = {answer.id: answer for answer in answers}
    return [found[request.id] for request in requests]
