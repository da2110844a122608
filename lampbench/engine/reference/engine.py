"""The reference engine: one user and one query at a time, by the field's own libraries.

transformers' `generate` decodes (`decoding`, which names what it cannot do), PEFT holds the
adapters, and trl's SFTTrainer and DPOTrainer train (`trl_training`, which names what they cannot
do). It is slow; the tests check the batched engine against it, and it is the "reference loop" of
the benchmarks: a copy of the model for each side of a contrast, each user's LoRA on it through
PEFT, TAM merged into its weights, and one training per user. With the batched engine it shares the
encoding of prompts, the adapter files, the initial values of a LoRA, and what is random in an
answer or a training.

Steering vectors, gates and pieces are read off the model or assembled; no library has them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from lampbench.core.fidelity import Fidelity
from lampbench.engine.combine_adapters import combine_adapters
from lampbench.engine.decoded_answer import completion, encode_sides
from lampbench.engine.flush_denormals import flush_denormals
from lampbench.engine.load_model import load_model
from lampbench.engine.model_arguments import NOTHING_GIVEN, ModelArguments
from lampbench.engine.models import ModelSpec
from lampbench.engine.prompt_encoder import EncodedResponses, TokenIds, prompt_encoders
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    GenerateRequest,
    PiecesSpec,
    ScoreRequest,
    ScoreResult,
    SteeringSpec,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
)
from lampbench.engine.quiet_libraries import quiet_libraries
from lampbench.engine.reference.any_adapter import AnyAdaptedModel
from lampbench.engine.reference.decoding import decode
from lampbench.engine.reference.pieces import assemble
from lampbench.engine.reference.steering import SteeredModel, fit_steering
from lampbench.util.hashing import seed_from


class ReferenceEngine:
    """Answers, scores and trains one model, as `lampbench.engine.protocol` describes.

    `device` None is the best one there is, `chat_template` None the tokenizer's own; `context`
    lowers the model's context length, in tokens.

    Raises:
        LampbenchError: the model cannot be loaded, or has no chat template.
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
        context: int | None = None,
    ) -> None:
        loaded = load_model(spec, device, dtype, arguments)
        self._pristine, self._base = loaded.model, spec.location
        self.device = loaded.device
        self._encoder, self._training_encoder = prompt_encoders(
            loaded.tokenizer,
            loaded.model.config.model_type,
            chat_template,
            min(loaded.context, context or loaded.context),
            fidelity,
        )
        self._stop = self._encoder.stop_ids(loaded.model)
        # requests say how to decode
        loaded.model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        self._user = AnyAdaptedModel(self._pristine, spec.location)
        self._others: list[AnyAdaptedModel] = []

    @property
    def model(self) -> Any:
        """The model as it was loaded, without adapters."""
        return self._pristine

    @property
    def base(self) -> str:
        """Where the model was loaded from, as adapters name it."""
        return self._base

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts, one after the other.

        Raises:
            LampbenchError: a prompt does not fit into the context, or an adapter cannot be used.
        """
        flush_denormals()
        for request in requests:
            prompts = encode_sides(request, self._encoder)
            forced = self._encoder.encode_response(request.teacher_text)
            forced = forced[: request.spec.max_new_tokens]
            for sample in range(request.samples):
                seed = seed_from(request.seed, sample)
                models, ids = self._sides(request), [each.ids for each in prompts]
                with quiet_libraries():
                    answer = decode(request.spec, models, ids, self._stop, seed, forced)
                yield completion(request, sample, prompts, forced, answer, self._encoder)

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses in float32, one after the other.

        Raises:
            LampbenchError: as in `generate`.
        """
        flush_denormals()
        for request in requests:
            if request.format == "raw":
                ids = self._encoder.encode_raw(request.prompt.text, request.response)
                prompt, response = ids[:1], ids[1:]
            else:
                encoded = self._encoder.encode_responses(
                    request.id, request.prompt, [request.response]
                )
                prompt, response = encoded.prompt, encoded.responses[0]
            model = self._user.with_adapters(request.weights)
            with torch.no_grad():
                logs = self._logprobs(model, prompt, response)
            yield ScoreResult(request.id, tuple(logs.tolist()))

    def combine(self, job: CombineJob) -> None:
        """Add up adapters.

        Raises:
            LampbenchError: an adapter is missing, damaged or made for another model.
        """
        combine_adapters(job, self._pristine, self._base)

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters, one after the other, with the losses of transformers and trl.

        Raises:
            LampbenchError: as in `generate`; `start` has another shape than the job's LoRA.
        """
        flush_denormals()
        for job in jobs:
            encoded = [
                self._training_encoder.encode_responses(job.id, item.prompt, item.responses)
                for item in job.data
            ]
            if isinstance(job.adapter, (SteeringSpec, PiecesSpec)):
                yield self._fitted(job, encoded)
                continue
            yield self._trained(job, encoded, on_step)

    def _trained(
        self, job: TrainJob, encoded: Sequence[EncodedResponses], on_step: StepHook
    ) -> TrainResult | TrainFailure:
        """Train by trl, and save what came of it."""
        from lampbench.engine.reference.trl_training import Course, train_by_trl

        course = Course(job, encoded, on_step)
        reference = self._other(0).merged(job.dpo.reference) if job.dpo else None
        model = self._user.trainable(job)
        train_by_trl(model, reference, self._encoder.tokenizer, course, self.device)
        if course.failure:
            return TrainFailure(job.id, course.failure)
        self._user.save(job)
        return TrainResult(
            job.id,
            course.steps,
            tokens=_trained_tokens(job, encoded),
            examples_shortened=sum(each.shortened for each in encoded),
            losses=tuple(course.losses),
            margins=tuple(course.margins),
        )

    def _fitted(self, job: TrainJob, encoded: Sequence[EncodedResponses]) -> TrainResult:
        """What takes no steps: it is read off the model's activations."""
        if isinstance(job.adapter, SteeringSpec):
            model = self._user.with_adapters(job.frozen)
            tokens = fit_steering(model, job.adapter, encoded, job.output)
        else:
            tokens = assemble(self._user.merged(job.frozen), job, encoded, self._base)
        shortened = sum(each.shortened for each in encoded)
        return TrainResult(job.id, 0, tokens, shortened, losses=())

    def _other(self, number: int) -> AnyAdaptedModel:
        """The copy of the model for a further side of a contrast, from 0."""
        while len(self._others) <= number:
            self._others.append(AnyAdaptedModel(self._pristine, self._base))
        return self._others[number]

    def _sides(self, request: GenerateRequest) -> list[Any]:
        """The models of all sides, the request's own first."""
        others = request.spec.contrast.others if request.spec.contrast else ()
        models = [self._other(n).with_adapters(weights) for n, (weights, _) in enumerate(others)]
        return [self._user.with_adapters(request.weights), *models]

    def _logprobs(self, model: Any, prompt: TokenIds, response: TokenIds) -> Tensor:
        """Log p(token | everything before it) of each token of the response."""
        if not response:  # of a raw text of one token, which has nothing before it
            return torch.zeros(0)
        tokens = torch.tensor([[*prompt, *response]], device=self.device)
        steered = {"answer_from": len(prompt) - 1} if isinstance(model, SteeredModel) else {}
        logits: Tensor = model(input_ids=tokens, use_cache=False, **steered).logits
        logs = logits[0].float().log_softmax(dim=-1)
        positions = torch.arange(len(prompt) - 1, tokens.shape[1] - 1, device=self.device)
        return logs[positions, tokens[0, positions + 1]]


def _trained_tokens(job: TrainJob, encoded: Sequence[EncodedResponses]) -> int:
    """Tokens that went through the model: all of every sequence, in every epoch."""
    passes = job.optim.epochs * (2 if job.dpo else 1)  # the reference model reads them as often
    return passes * sum(len(each.prompt) + len(r) for each in encoded for r in each.responses)
