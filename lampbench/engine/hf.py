"""The transformers + peft backend: one model in memory, adapters switched between batches."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lampbench.engine import generation, training
from lampbench.engine.adapters import Adapters
from lampbench.engine.batching import batches
from lampbench.engine.chat import Encoded, Encoder
from lampbench.engine.generation import Model, Row, decode
from lampbench.engine.loading import load
from lampbench.engine.protocol import (
    Completion,
    Example,
    GenerateRequest,
    Preference,
    Score,
    ScoreRequest,
    StepHook,
    TrainJob,
    TrainResult,
    Weights,
)
from lampbench.engine.scoring import response_logprobs
from lampbench.errors import LampbenchError
from lampbench.fidelity import Fidelity
from lampbench.hashing import seed_from
from lampbench.models import ModelSpec

_HEAD = 8
_DEFAULT_ROWS = 64


@dataclass(frozen=True, slots=True)
class _Scored:
    """A request to score, encoded."""

    request: ScoreRequest
    prompt: tuple[int, ...]
    response: list[int]


class HFEngine:
    """Answers, scores and trains one model. See `lampbench.engine.protocol`.

    Requests that share weights share batches; the weights of one request never touch another's.
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
    ) -> None:
        loaded = load(spec, device, dtype)
        self._model, self._tokenizer = loaded.model, loaded.tokenizer
        self.device = loaded.device
        self._spec = spec
        self._rows = batch_size or _DEFAULT_ROWS
        self._adapters = Adapters(self._model)
        self._encoder = Encoder(self._tokenizer, template, loaded.context, fidelity)
        self._training_encoder = self._encoder
        if fidelity.split_templates:
            own = _family(self._model.config.model_type)
            self._training_encoder = Encoder(self._tokenizer, own, loaded.context, fidelity)
        self._stop = torch.tensor(self._stop_ids(), device=self.device)
        self._pad = int(self._tokenizer.pad_token_id)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts; requests of equal weights and settings are decoded together."""
        for group in _grouped(requests, lambda r: (r.weights, r.spec)).values():
            weights, spec = group[0].weights, group[0].spec
            room = self._encoder.context - spec.max_new_tokens
            rows = []
            for request in group:
                encoded = self._encoder.encode(request.id, request.prompt, room)
                rows += [(request, sample, encoded) for sample in range(request.samples)]

            def answer(batch: list[Any], weights: Weights = weights, spec: Any = spec) -> list[Any]:
                user = Model(self._model, self._adapters, weights)
                contrast = spec.contrast
                base = Model(self._model, self._adapters, contrast.against) if contrast else None
                asked = [Row(e.ids, seed_from(r.seed, sample)) for r, sample, e in batch]
                return generation.decode(user, base, spec, asked, self._stop, self._pad)

            done = batches(rows, lambda row: len(row[2].ids), self._rows, answer)
            for (request, sample, encoded), (ids, clipped) in done:
                yield self._completion(request, sample, encoded, ids, clipped)

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[Score]:
        """Log-probabilities of responses, float32."""
        for weights, group in _grouped(requests, lambda r: r.weights).items():

            def logprobs(batch: list[_Scored], weights: Any = weights) -> list[list[float]]:
                self._adapters.activate(weights)
                prompts, responses = [s.prompt for s in batch], [s.response for s in batch]
                with torch.inference_mode():
                    logs = response_logprobs(self._model, prompts, responses, self._pad)
                return [log.tolist() for log in logs]

            items = [self._scored(request) for request in group]
            done = batches(items, lambda s: len(s.prompt) + len(s.response), self._rows, logprobs)
            for item, values in done:
                yield Score(item.request.id, tuple(values))

    def train(self, jobs: Sequence[TrainJob], on_step: StepHook) -> Iterator[TrainResult]:
        """Train adapters, one after the other."""
        for job in jobs:
            data, cut = self._training_data(job)
            with self._adapters.in_training(job.frozen, job.lora, job.start, job.seed) as state:
                losses, margins = training.run(
                    job,
                    self._model,
                    state,
                    data,
                    self._pad,
                    lambda step, steps, job=job: on_step(job.id, step, steps),  # type: ignore[misc]
                )
                self._adapters.save(job.output, job.lora, self._spec.location)
            read = sum(len(d.prompt) + len(d.response) for d in data)
            read += sum(len(d.prompt) + len(d.rejected) for d in data if d.rejected is not None)
            tokens = read * job.optim.epochs
            yield TrainResult(job.id, len(losses), tokens, cut, tuple(losses), tuple(margins))

    def _completion(
        self, request: GenerateRequest, sample: int, encoded: Encoded, ids: list[int], clipped: bool
    ) -> Completion:
        return Completion(
            id=request.id,
            sample=sample,
            text=self._encoder.decode(ids),
            token_ids=tuple(ids),
            prompt_tokens=len(encoded.ids),
            prompt_head=encoded.ids[:_HEAD],
            prompt_cut=encoded.cut,
            clipped=clipped,
        )

    def _scored(self, request: ScoreRequest) -> _Scored:
        context = self._encoder.context
        if request.text == "raw":
            ids = self._tokenizer.encode(request.prompt.text + request.response)[:context]
            return _Scored(request, tuple(ids[:1]), ids[1:])
        response, _ = self._encoder.response(request.response, context // 2)
        prompt = self._encoder.encode(request.id, request.prompt, context - len(response))
        return _Scored(request, prompt.ids, response)

    def _training_data(self, job: TrainJob) -> tuple[list[training.Sided], int]:
        """Encoded examples, and how many of them were shortened to fit the context."""
        encoder, context = self._training_encoder, self._encoder.context
        data, cut = [], 0
        for item in job.data:
            texts = [item.response] if isinstance(item, Example) else [item.chosen, item.rejected]
            sides = [encoder.response(text, context // 2) for text in texts]
            room = context - max(len(ids) for ids, _ in sides)
            prompt = encoder.encode(job.id, item.prompt, room, training=True)
            cut += prompt.cut > 0 or any(short for _, short in sides)
            rejected = sides[1][0] if isinstance(item, Preference) else None
            data.append(training.Sided(list(prompt.ids), sides[0][0], rejected))
        return self._with_reference(job, data), cut

    def _with_reference(self, job: TrainJob, data: list[training.Sided]) -> list[training.Sided]:
        """The same pairs with the reference's log-probabilities, computed once."""
        if job.dpo is None:
            return data
        sides = [(i, side) for i in range(len(data)) for side in (0, 1)]

        def response(place: tuple[int, int]) -> list[int]:
            item = data[place[0]]
            return item.response if place[1] == 0 else item.rejected or []

        def sums(batch: list[tuple[int, int]]) -> list[float]:
            assert job.dpo is not None
            self._adapters.activate(job.dpo.reference)
            with torch.inference_mode():
                logs = response_logprobs(
                    self._model,
                    [data[i].prompt for i, _ in batch],
                    [response(place) for place in batch],
                    self._pad,
                )
            return [float(log.sum()) for log in logs]

        def length(place: tuple[int, int]) -> int:
            return len(data[place[0]].prompt) + len(response(place))

        found = dict(batches(sides, length, self._rows, sums))
        return [
            training.Sided(item.prompt, item.response, item.rejected, (found[i, 0], found[i, 1]))
            for i, item in enumerate(data)
        ]

    def _stop_ids(self) -> list[int]:
        """Every token that may end an answer: the model's, the tokenizer's, the template's."""
        config = self._model.generation_config.eos_token_id
        listed = config if isinstance(config, list) else [config]
        ids = {*listed, self._tokenizer.eos_token_id, self._encoder.end_of_turn}
        return sorted(int(token) for token in ids if token is not None)


def _grouped(requests: Sequence[Any], name: Any) -> dict[Hashable, list[Any]]:
    groups: dict[Hashable, list[Any]] = defaultdict(list)
    for request in requests:
        groups[name(request)].append(request)
    return groups


def _family(model_type: str) -> str:
    """The paper's custom template for a kind of model (`--fidelity reference`)."""
    for name in ("mistral", "llama", "gemma", "qwen"):
        if model_type.startswith(name):
            return name
    raise LampbenchError(f"the reference code has no chat template for models of type {model_type}")


__all__ = ["HFEngine", "decode"]
