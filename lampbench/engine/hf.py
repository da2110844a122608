"""The transformers + peft backend: one model in memory, adapters switched between batches."""

import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch

from lampbench.engine.adapters import Adapters
from lampbench.engine.batching import batches
from lampbench.engine.chat import Encoded, Encoder, family_template
from lampbench.engine.generation import Answer, Row, Stream, decode
from lampbench.engine.loading import load
from lampbench.engine.protocol import (
    Completion,
    Example,
    GenerateRequest,
    GenerationSpec,
    Preference,
    Score,
    ScoreRequest,
    StepHook,
    TrainJob,
    TrainResult,
    Weights,
)
from lampbench.engine.scoring import response_logprobs
from lampbench.engine.training import Item, Training
from lampbench.fidelity import Fidelity
from lampbench.hashing import seed_from
from lampbench.models import ModelSpec

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_HEAD = 8  # token ids of a prompt that a completion shows


@dataclass(frozen=True, slots=True)
class _Asked:
    """One sample of a request, encoded."""

    request: GenerateRequest
    sample: int
    prompt: Encoded


@dataclass(frozen=True, slots=True)
class _Given:
    """A response whose log-probabilities are asked for, encoded."""

    id: str
    prompt: tuple[int, ...]
    response: tuple[int, ...]

    @property
    def tokens(self) -> int:
        return len(self.prompt) + len(self.response)


class HFEngine:
    """Answers, scores and trains one model. See `lampbench.engine.protocol`.

    Requests that share weights share batches of at most `batch_size` rows. `context` lowers the
    model's own limit in tokens. Training jobs that last leave a checkpoint every
    `checkpoint_seconds`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        device: str | None,
        dtype: str,
        template: str | None,
        fidelity: Fidelity,
        batch_size: int | None = None,
        context: int | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        loaded = load(spec, device, dtype)
        self._model = loaded.model
        self.device = loaded.device
        self._rows = batch_size or 32
        self._checkpoint_seconds = checkpoint_seconds
        self._adapters = Adapters(self._model, spec.location)
        length = min(loaded.context, context or loaded.context)
        own = family_template(self._model.config.model_type) if fidelity.split_templates else None
        self._encoder = Encoder(loaded.tokenizer, template, length, fidelity)
        self._training_encoder = Encoder(
            loaded.tokenizer, own or template, length, fidelity, training=True
        )
        self._pad = int(loaded.tokenizer.pad_token_id)
        self._stop = torch.tensor(self._stop_ids(loaded.tokenizer.eos_token_id)).to(self.device)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts; requests of equal weights and settings are decoded together.

        Raises:
            LampbenchError: a prompt does not fit, an adapter does not, or the memory is too small.
        """
        for (weights, spec), group in _grouped(requests, lambda r: (r.weights, r.spec)).items():
            room = self._encoder.context - spec.max_new_tokens
            asked = []
            for request in group:
                prompt = self._encoder.prompt(request.id, request.prompt, room)
                asked += [_Asked(request, sample, prompt) for sample in range(request.samples)]
            answer = partial(self._answer, weights, spec)
            for item, found in batches(asked, lambda a: len(a.prompt.ids), self._rows, answer):
                yield self._completion(item, found)

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[Score]:
        """Log-probabilities of responses, float32.

        Raises:
            LampbenchError: as in `generate`.
        """
        for weights, group in _grouped(requests, lambda r: r.weights).items():
            given = [self._given(request) for request in group]
            measure = partial(self._logprobs, weights)
            for item, found in batches(given, lambda g: g.tokens, self._rows, measure):
                yield Score(item.id, tuple(found))

    def train(self, jobs: Sequence[TrainJob], on_step: StepHook) -> Iterator[TrainResult]:
        """Train adapters, one after the other.

        Raises:
            LampbenchError: as in `generate`; `start` has another shape than the job's LoRA; a
                loss is no longer a number; a checkpoint is damaged.
        """
        for job in jobs:
            data, cut = self._items(job)
            with self._adapters.in_training(job.frozen, job.lora, job.start, job.seed) as trained:
                training = Training(job, self._model, trained.parameters, data, self._pad)
                log = training.run(partial(on_step, job.id), self._checkpoint_seconds)
                trained.save(job.output)
            shutil.rmtree(job.scratch, ignore_errors=True)
            passes = job.optim.epochs + (job.dpo is not None)
            tokens = passes * sum(item.tokens for item in data)
            yield TrainResult(
                job.id, len(log.losses), tokens, cut, tuple(log.losses), tuple(log.margins)
            )

    def _answer(self, weights: Weights, spec: GenerationSpec, asked: list[_Asked]) -> list[Answer]:
        against = [spec.contrast.against] if spec.contrast else []
        user, *base = [
            Stream(self._model, partial(self._adapters.use, stack))
            for stack in self._adapters.load(weights, *against)
        ]
        rows = [Row(a.prompt.ids, seed_from(a.request.seed, a.sample)) for a in asked]
        return decode(user, base[0] if base else None, spec, rows, self._stop, self._pad)

    def _completion(self, asked: _Asked, answer: Answer) -> Completion:
        return Completion(
            id=asked.request.id,
            sample=asked.sample,
            text=self._encoder.decode(answer.ids),
            token_ids=answer.ids,
            prompt_tokens=len(asked.prompt.ids),
            prompt_head=asked.prompt.ids[:_HEAD],
            prompt_cut=asked.prompt.cut,
            clipped=answer.clipped,
        )

    def _given(self, request: ScoreRequest) -> _Given:
        if request.text == "raw":
            ids = tuple(self._encoder.raw(request.prompt.text, request.response))
            return _Given(request.id, ids[:1], ids[1:])
        pair = self._encoder.answered(request.id, request.prompt, [request.response])
        return _Given(request.id, pair.prompt, pair.responses[0])

    def _logprobs(self, weights: Weights, given: list[_Given]) -> list[list[float]]:
        (stack,) = self._adapters.load(weights)
        self._adapters.use(stack)
        with torch.inference_mode():
            logs = response_logprobs(
                self._model, [g.prompt for g in given], [g.response for g in given], self._pad
            )
        return [log.tolist() for log in logs]

    def _items(self, job: TrainJob) -> tuple[list[Item], int]:
        """Encoded examples, and how many of them were shortened to fit the context."""
        examples: Sequence[Example | Preference] = job.data
        pairs = [
            self._training_encoder.answered(f"{job.id}, example {n}", item.prompt, _texts(item))
            for n, item in enumerate(examples, start=1)
        ]
        cut = sum(pair.cut for pair in pairs)
        if job.dpo is None:
            return [Item(pair.prompt, pair.responses[0]) for pair in pairs], cut
        given = [
            _Given(f"{i}/{side}", pair.prompt, response)
            for i, pair in enumerate(pairs)
            for side, response in enumerate(pair.responses)
        ]
        # The reference never changes: once for all epochs. No adapter in training is active here.
        measure = partial(self._logprobs, job.dpo.reference)
        found = {
            item.id: sum(logs)
            for item, logs in batches(given, lambda g: g.tokens, self._rows, measure)
        }
        return [
            Item(pair.prompt, chosen, rejected, (found[f"{i}/0"], found[f"{i}/1"]))
            for i, pair in enumerate(pairs)
            for chosen, rejected in [pair.responses]
        ], cut

    def _stop_ids(self, eos: int | None) -> list[int]:
        """Every token that may end an answer: the model's, the tokenizer's, the template's."""
        told = self._model.generation_config.eos_token_id
        listed = told if isinstance(told, list) else [told]
        return sorted({int(t) for t in [*listed, eos, self._encoder.end_of_turn] if t is not None})


def _texts(item: Example | Preference) -> list[str]:
    return [item.response] if isinstance(item, Example) else [item.chosen, item.rejected]


def _grouped(items: Sequence[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
