"""The batched engine: every forward pass serves many users, in decoding and in training."""

import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import TypeVar

from lampbench.core.fidelity import Fidelity
from lampbench.engine.adapter_files import write_adapter
from lampbench.engine.batched.adapter_cache import AdapterCache
from lampbench.engine.batched.adapter_layout import new_layout
from lampbench.engine.batched.answer_slot import EncodedRequest
from lampbench.engine.batched.batch_size import BatchPlanner
from lampbench.engine.batched.decoding_loop import DecodingLoop
from lampbench.engine.batched.decoding_settings import DecodingSettings
from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.batched.packing import PassLimits
from lampbench.engine.batched.response_scorer import ResponseScorer
from lampbench.engine.batched.shared_adapters import SharedAdapters, split_shared
from lampbench.engine.batched.stacked_lora import StackedLora
from lampbench.engine.batched.step_kinds import step_kind
from lampbench.engine.batched.supported_model import require_supported
from lampbench.engine.batched.training_data import TrainingData
from lampbench.engine.batched.training_loop import TrainingLoop
from lampbench.engine.batched.training_run import TrainingRun
from lampbench.engine.combine_adapters import combine_adapters
from lampbench.engine.decoded_answer import DecodedAnswer, completion, encode_sides
from lampbench.engine.device_memory import halved
from lampbench.engine.flush_denormals import flush_denormals
from lampbench.engine.load_model import load_model
from lampbench.engine.lora_init import peft_config
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments
from lampbench.engine.models import ModelSpec
from lampbench.engine.prompt_encoder import prompt_encoders
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    GenerateRequest,
    GenerationSpec,
    ScoreRequest,
    ScoreResult,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
    Weights,
)
from lampbench.util.hashing import seed_from
from lampbench.util.progress import print_message

Grouped = TypeVar("Grouped")
GroupKey = TypeVar("GroupKey", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What requests that are decoded together have in common.

    `shared` are the adapters of every row; `own_rows` says how many of an answer's rows have
    adapters of their own, `one_prompt` whether they read the same prompt. The weights that
    `spec.contrast` names are left out. `adapters` are rank and layers of the rows' own adapters
    where results must not depend on other shapes beside them, else None.
    """

    shared: Weights
    spec: GenerationSpec
    own_rows: int
    one_prompt: bool
    adapters: Hashable = None


class BatchedEngine:
    """Answers, scores and trains one model, as `lampbench.engine.protocol` describes.

    `device` None is the best one there is, `chat_template` None the tokenizer's own. `batch_size`
    bounds the rows of a decoding step, which otherwise depend on the free memory. `context` lowers
    the model's context length, in tokens. `step` is one of `STEP_KINDS`, None the fastest one for
    the device. With `batch_invariant`, no result depends on the other requests or jobs in any
    precision. Training jobs leave a checkpoint every `checkpoint_seconds`; `say` takes messages
    about damaged ones.

    Raises:
        LampbenchError: the model cannot be loaded, is not supported, or has no chat template; it,
            or the processor, cannot be `batch_invariant`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        device: str | None,
        dtype: str,
        chat_template: str | None,
        fidelity: Fidelity,
        arguments: ModelArguments = NOTHING_GIVEN,
        batch_size: int | None = None,
        context: int | None = None,
        step: str | None = None,
        batch_invariant: bool = False,
        checkpoint_seconds: float = 60.0,
        say: Callable[[str], object] = print_message,
    ) -> None:
        loaded = load_model(spec, device, dtype, arguments)
        self._model = loaded.model
        self.device = loaded.device
        context = min(loaded.context, context or loaded.context)
        require_supported(self._model.config, spec.location, context)
        # LLM.int8 asks the device in every layer which activations are large
        asks = getattr(self._model, "is_loaded_in_8bit", False)
        self._step = step_kind(step, self.device, not batch_invariant and not asks)
        self._base = spec.location
        self._checkpoint_seconds = checkpoint_seconds
        self._say = say
        self._forward = ForwardPass(self._model, batch_invariant)
        self._stacked = StackedLora(self._model, batch_invariant)
        self._cache = AdapterCache(self._model, self._base)
        self._shared = SharedAdapters(self._model, self._cache, self._stacked)
        self._planner = BatchPlanner(self._model, batch_size)
        self._encoder, self._training_encoder = prompt_encoders(
            loaded.tokenizer,
            self._model.config.model_type,
            chat_template,
            context,
            fidelity,
        )
        pad = loaded.tokenizer.pad_token_id
        self._pad = int(self._encoder.end_of_turn if pad is None else pad)  # masked in every pass
        self._stop = self._encoder.stop_ids(self._model)
        self._scorer = ResponseScorer(
            self._forward,
            self._stacked,
            self._cache,
            self._shared,
            self._encoder,
            self._planner,
            self._pad,
        )
        self._training_data = TrainingData(
            self._model, self._base, self._training_encoder, self._scorer, self._shared
        )

    @property
    def batching(self) -> dict[str, int]:
        """The most that a pass holds, and whether steps are rounded up to it: in bfloat16 a result
        may depend on it, unless the engine is batch-invariant.
        """
        if self._forward.batch_invariant:
            return {"batch_invariant": 1}
        return self._planner.bounds | ({} if self._step == "exact" else {"static_steps": 1})

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts; requests with the same settings are decoded together.

        Raises:
            LampbenchError: a prompt does not fit into the context, an adapter cannot be used, or
                the memory is too small for a single answer.
        """
        flush_denormals()
        kinds: dict[_Kind, list[EncodedRequest]] = {}
        for request in requests:
            spec, others = _without_weights(request.spec)
            shared, rests = split_shared(request.weights, *others)
            own = rests if any(rests[1:]) else rests[:1] if rests[0] else ()
            prompts = encode_sides(request, self._encoder)
            forced = self._encoder.encode_response(request.teacher_text)[: spec.max_new_tokens]
            one_prompt = len({each.ids for each in prompts}) == 1
            alike = tuple(map(self._cache.shape, own)) if self._forward.batch_invariant else None
            encoded = kinds.setdefault(_Kind(shared, spec, len(own), one_prompt, alike), [])
            for sample in range(request.samples):
                seed = seed_from(request.seed, sample)
                encoded.append(EncodedRequest(request, sample, prompts, seed, own, forced))
        for kind, waiting in kinds.items():
            for each, answer in self._decode(kind, waiting):
                yield completion(
                    each.request, each.sample, each.prompts, each.forced, answer, self._encoder
                )

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses in float32; responses to one prompt share its reading.

        Raises:
            LampbenchError: as in `generate`.
        """
        flush_denormals()
        for shared, group in _grouped(requests, lambda r: split_shared(r.weights)[0]).items():
            yield from self._scorer.score(shared, list(self._scorer.trees(group)))

    def combine(self, job: CombineJob) -> None:
        """Add up adapters.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        combine_adapters(job, self._model, self._base)

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters, many at once.

        Raises:
            LampbenchError: as in `generate`; `start` has another shape than the job's LoRA; the
                disk is full.
            Stopped: a signal, or the end of the given time, ended the process.
        """
        flush_denormals()
        alike = _grouped(jobs, lambda job: (job.frozen, job.lora, job.dpo))
        for (frozen, lora, _), group in alike.items():
            layout = new_layout(self._model, lora)
            slots = self._planner.training_slots(len(group), layout.size)
            limits = self._planner.pass_limits
            loop = TrainingLoop(
                self._forward, self._stacked, layout, self._pad, limits, slots, self._say
            )
            runs = self._training_data.runs(group, slots)
            self._shared.apply(frozen)
            for ended in loop.run(runs, on_step, self._checkpoint_seconds):
                if isinstance(ended, TrainingRun):
                    config = peft_config(self._model, lora, self._base)
                    write_adapter(ended.job.output, config, ended.adapter)
                    shutil.rmtree(ended.job.scratch, ignore_errors=True)
                    yield ended.result
                else:
                    yield ended
                self._shared.apply(frozen)  # again: the caller may have asked for others meanwhile

    def _decode(
        self, kind: _Kind, requests: list[EncodedRequest]
    ) -> Iterator[tuple[EncodedRequest, DecodedAnswer]]:
        """Answers in the order in which they are complete."""
        self._shared.apply(kind.shared)
        left = dict.fromkeys(sorted(requests, key=attrgetter("longest_prompt"), reverse=True))
        own = {each.own for each in left}
        layout = self._cache.layout(weights for rows in own for weights in rows)
        tokens = next(iter(left)).longest_prompt + kind.spec.max_new_tokens
        settings = DecodingSettings(
            spec=kind.spec,
            stop=self._stop,
            pad=self._pad,
            limits=self._planner.pass_limits,
            own_rows=kind.own_rows,
            layout=layout,
            flatten=partial(self._cache.flatten, layout),
            same_adapters=kind.own_rows == 1 and len(own) == 1 and kind.adapters is None,
            one_prompt=kind.one_prompt,
        )
        slots = self._planner.decoding_slots(
            len(left), settings.rows_per_slot, tokens, kind.own_rows * layout.size
        )
        while left:
            try:
                self._shared.apply(kind.shared)  # again: the one below may have failed
                # no variable holds it: its memory must be free when a smaller one is made
                answers = DecodingLoop(
                    self._forward, self._stacked, settings, slots, tokens, self._step
                ).run(list(left))
                for encoded, answer in answers:
                    del left[encoded]
                    yield encoded, answer
                    self._shared.apply(kind.shared)  # the caller may have asked for others
            except RuntimeError as error:  # what was not complete starts again, in smaller batches
                slots = halved(slots, error, f"one sequence of {tokens} tokens")
                limits = settings.limits
                smaller = PassLimits(max(1, limits.tokens // 2), limits.labels)
                settings = replace(settings, limits=smaller)


def _without_weights(spec: GenerationSpec) -> tuple[GenerationSpec, list[Weights]]:
    """A specification that names no weights, and the weights of its contrast's other sides."""
    contrast = spec.contrast
    if contrast is None:
        return spec, []
    more = tuple(((), factor) for _, factor in contrast.more)
    bare = replace(spec, contrast=replace(contrast, against=(), more=more))
    return bare, [weights for weights, _ in contrast.others]


def _grouped(
    items: Sequence[Grouped], key: Callable[[Grouped], GroupKey]
) -> dict[GroupKey, list[Grouped]]:
    groups: dict[GroupKey, list[Grouped]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
