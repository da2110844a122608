"""What engines can do, and what a request asks of one."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import singledispatch

from lampbench.engine.adapter_kind import kinds_asked, trained_kind
from lampbench.engine.protocol import (
    AdapterSpec,
    CombineJob,
    GenerateRequest,
    GenerationSpec,
    PiecesSpec,
    ScoreRequest,
    SteeringSpec,
    TrainJob,
)


class Capability(StrEnum):
    """One thing that an engine may be able to do; the value is how messages name it."""

    GENERATE = "generate answers"
    SAMPLE = "draw samples"
    CONTRAST = "decode contrastively"
    CONTRAST_LOG_EPS = "decode contrastively with the released code's log(p + eps)"
    CONTRAST_SIDES = "decode over more than one other side, or with a factor of the own side"
    CONTRAST_PROMPTS = "decode over sides with prompts of their own"
    REWARDS = "return the rewards of contrastive decoding"
    SCORES_PENALTY = "apply a repetition penalty to log-probabilities"
    LOGITS_PENALTY = "apply a repetition penalty to logits"
    MIN_NEW_TOKENS = "hold an answer open for min_new_tokens"
    TEACHER_FORCING = "choose after forced tokens"
    OPEN_PROMPTS = "end a prompt with the user's turn"
    SCORE = "score responses"
    SCORE_RAW = "score texts without a chat template"
    LORA = "use LoRA adapters"
    DORA = "use DoRA adapters"
    PREFIX = "use prefixes"
    SOFT_PROMPT = "use soft prompts"
    IA3 = "use (IA)3 adapters"
    STEERING = "use steering vectors"
    GATES = "train gates on a LoRA"
    PIECES = "assemble a LoRA from pieces of others"
    TRAIN_SFT = "fine-tune adapters"
    TRAIN_DPO = "train adapters with DPO"
    COMBINE = "add up adapters"


ADAPTERS = {
    "LORA": Capability.LORA,
    "DORA": Capability.DORA,
    "PREFIX_TUNING": Capability.PREFIX,
    "PROMPT_TUNING": Capability.SOFT_PROMPT,
    "IA3": Capability.IA3,
    "STEERING": Capability.STEERING,
    "GATES": Capability.GATES,
    "PIECES": Capability.PIECES,
}
"""The capability of each kind of adapter: to answer, to score and, for an engine that trains, to
train with it."""

EVERYTHING = frozenset(Capability)
"""All capabilities."""


@singledispatch
def needs_of(asked: object) -> frozenset[Capability]:
    """The capabilities that a request or job needs."""
    raise TypeError(f"{asked!r:.80} is no request of an engine")


@needs_of.register
def _(asked: GenerateRequest) -> frozenset[Capability]:
    found = set(needs_of_spec(asked.spec, samples=asked.samples))
    if any(other is not None for other in asked.other_prompts):
        found.add(Capability.CONTRAST_PROMPTS)
    if asked.teacher_text is not None:
        found.add(Capability.TEACHER_FORCING)
    if not asked.generation_prompt:
        found.add(Capability.OPEN_PROMPTS)
    return frozenset(found | set(_adapters(kinds_asked(asked))))


@needs_of.register
def _(asked: ScoreRequest) -> frozenset[Capability]:
    kind = Capability.SCORE_RAW if asked.format == "raw" else Capability.SCORE
    return frozenset({kind, *_adapters(kinds_asked(asked))})


@needs_of.register
def _(asked: TrainJob) -> frozenset[Capability]:
    trained = needs_of_training(asked.adapter, preferences=asked.dpo is not None)
    return trained | frozenset(_adapters(kinds_asked(asked)))


@needs_of.register
def _(asked: CombineJob) -> frozenset[Capability]:
    return frozenset({Capability.COMBINE})


def needs_of_spec(spec: GenerationSpec, samples: int = 1) -> frozenset[Capability]:
    """The capabilities that a way of decoding needs, whatever the weights and prompts."""
    return frozenset(_decoding(spec, samples))


def needs_of_training(adapter: AdapterSpec, *, preferences: bool) -> frozenset[Capability]:
    """The capabilities that training such an adapter needs; some kinds take no steps."""
    found = {ADAPTERS[trained_kind(adapter)]}
    if not isinstance(adapter, (SteeringSpec, PiecesSpec)):
        found.add(Capability.TRAIN_DPO if preferences else Capability.TRAIN_SFT)
    return frozenset(found)


def in_words(capabilities: Iterable[Capability]) -> str:
    """Capabilities as words, in the order of their declaration."""
    wanted = set(capabilities)
    return ", ".join(each.value for each in Capability if each in wanted)


def _decoding(spec: GenerationSpec, samples: int) -> Iterator[Capability]:
    yield Capability.GENERATE
    if spec.sampling or samples > 1:
        yield Capability.SAMPLE
    if spec.min_new_tokens:
        yield Capability.MIN_NEW_TOKENS
    if spec.repetition_penalty != 1.0:
        on_logits = spec.penalty_on == "logits"
        yield Capability.LOGITS_PENALTY if on_logits else Capability.SCORES_PENALTY
    if spec.contrast:
        yield Capability.CONTRAST
        if spec.contrast.log_eps is not None:
            yield Capability.CONTRAST_LOG_EPS
        if spec.contrast.more or spec.contrast.own != 1.0:
            yield Capability.CONTRAST_SIDES
        if spec.rewards:
            yield Capability.REWARDS


def _adapters(kinds: Iterable[str]) -> Iterator[Capability]:
    """An unknown kind needs nothing here: whoever reads the adapter says what is wrong with it."""
    yield from (ADAPTERS[kind] for kind in kinds if kind in ADAPTERS)
