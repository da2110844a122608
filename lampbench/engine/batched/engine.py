"""The many-user backend: every forward pass serves many users, in decoding and in training."""

import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch

from lampbench.core.fidelity import Fidelity
from lampbench.engine import adapter_files
from lampbench.engine.batched.adapter_cache import Adapters, split
from lampbench.engine.batched.batch_size import Planner
from lampbench.engine.batched.forward import Forward
from lampbench.engine.batched.generation import Answer, Ask, Decoding, Setting
from lampbench.engine.batched.memory import halved
from lampbench.engine.batched.shared_prompts import Budget, Ids, Tree, branch_logprobs, packs
from lampbench.engine.batched.stacked_lora import Layout, Rows, Stack
from lampbench.engine.batched.training import Item, Run, Training
from lampbench.engine.chat_template import Encoded, Encoder, family_template
from lampbench.engine.load_model import load
from lampbench.engine.lora_init import initial_pairs, lora_config, trained_layout
from lampbench.engine.models import ModelSpec
from lampbench.engine.protocol import (
    Completion,
    GenerateRequest,
    GenerationSpec,
    PreferencePair,
    ScoreRequest,
    ScoreResult,
    SFTExample,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
    Weights,
)
from lampbench.util.hashing import seed_from

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_HEAD = 8  # token ids of a prompt that a completion shows


@dataclass(frozen=True, slots=True)
class _Kind:
    """What requests have in common that are decoded together."""

    shared: Weights
    spec: GenerationSpec
    own_rows: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """One sample of a request, encoded."""

    request: GenerateRequest
    sample: int
    prompt: Encoded


@dataclass(frozen=True, slots=True)
class _Scored:
    """Responses to one prompt under one stack of adapters: the ids of their requests."""

    ids: list[str]
    own: Weights
    tree: Tree


class BatchedEngine:
    """Answers, scores and trains one model. See `lampbench.engine.protocol`.

    `batch_size` bounds the rows of a decoding step, which otherwise follow from the free memory.
    `context` lowers the model's own limit in tokens. Training jobs that last leave a checkpoint
    every `checkpoint_seconds`.
    """

    def __init__(
        self,
        spec: ModelSpec,
        *,
        device: str | None,
        dtype: str,
        chat_template: str | None,
        fidelity: Fidelity,
        batch_size: int | None = None,
        context: int | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        loaded = load(spec, device, dtype)
        self._model = loaded.model
        self.device = loaded.device
        self._base = spec.location
        self._checkpoint_seconds = checkpoint_seconds
        self._forward = Forward(self._model)
        self._stack = Stack(self._model)
        self._adapters = Adapters(self._model, spec.location, self._stack)
        self._planner = Planner(self._model, batch_size)
        length = min(loaded.context, context or loaded.context)
        own = family_template(self._model.config.model_type) if fidelity.split_templates else None
        self._encoder = Encoder(loaded.tokenizer, chat_template, length, fidelity)
        self._training_encoder = Encoder(
            loaded.tokenizer, own or chat_template, length, fidelity, training=True
        )
        self._pad = int(loaded.tokenizer.pad_token_id)
        self._stop = self._encoder.stop_ids(self._model)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts; requests of equal settings are decoded together, whoever asks.

        Raises:
            LampbenchError: a prompt does not fit, an adapter does not, or the memory is too small.
        """
        kinds: dict[_Kind, dict[Ask, _Asked]] = {}
        for request in requests:
            spec, against = request.spec, None
            if spec.contrast is not None:
                against = spec.contrast.against
                spec = replace(spec, contrast=replace(spec.contrast, against=()))
            shared, ours, theirs = split(request.weights, against)
            own = (ours, theirs) if theirs else (ours,) if ours else ()
            prompt = self._encoder.prompt(
                request.id, request.prompt, self._encoder.context - spec.max_new_tokens
            )
            follow = self._encoder.response(request.teacher_text)[: spec.max_new_tokens]
            asks = kinds.setdefault(_Kind(shared, spec, len(own)), {})
            for sample in range(request.samples):
                ask = Ask(prompt.ids, seed_from(request.seed, sample), own, follow)
                asks[ask] = _Asked(request, sample, prompt)
        for kind, asks in kinds.items():
            for ask, answer in self._decode(kind, list(asks)):
                yield self._completion(asks[ask], ask.follow, answer)

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses, float32; responses to one prompt share its reading.

        Raises:
            LampbenchError: as in `generate`.
        """
        for shared, group in _grouped(requests, lambda r: split(r.weights)[0]).items():
            yield from self._measure(shared, list(self._scored(group)))

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters, many at once.

        Raises:
            LampbenchError: as in `generate`; `start` has another shape than the job's LoRA; a
                checkpoint is damaged.
        """
        alike = _grouped(jobs, lambda job: (job.frozen, job.lora, job.dpo))
        for (frozen, lora, _), group in alike.items():
            layout = trained_layout(self._model, lora)
            seats = self._planner.seats(len(group), layout.size)
            training = Training(
                self._forward, self._stack, layout, self._pad, self._planner.budget, seats
            )
            runs = self._runs(group, seats)
            self._adapters.freeze(frozen)
            for ended in training.run(runs, on_step, self._checkpoint_seconds):
                if isinstance(ended, Run):
                    config = lora_config(self._model, lora, self._base)
                    adapter_files.write(ended.job.output, config, ended.adapter)
                    shutil.rmtree(ended.job.scratch, ignore_errors=True)
                    yield ended.result
                else:
                    yield ended
                self._adapters.freeze(frozen)  # the caller may have asked for others meanwhile

    def _decode(self, kind: _Kind, asks: list[Ask]) -> Iterator[tuple[Ask, Answer]]:
        """Answers in the order in which they are done."""
        self._adapters.freeze(kind.shared)
        left = dict.fromkeys(sorted(asks, key=lambda ask: len(ask.ids), reverse=True))
        own = {ask.own for ask in left}
        layout = self._adapters.layout(stack for stacks in own for stack in stacks)
        tokens = len(next(iter(left)).ids) + kind.spec.max_new_tokens
        setting = Setting(
            spec=kind.spec,
            stop=self._stop,
            pad=self._pad,
            budget=self._planner.budget,
            own_rows=kind.own_rows,
            layout=layout,
            flat=partial(self._adapters.flat, layout),
            one_for_all=kind.own_rows == 1 and len(own) == 1,
        )
        streams = 2 if kind.spec.contrast else 1
        places = self._planner.places(len(left), streams, tokens, kind.own_rows * layout.size)
        while left:
            try:
                decoding = Decoding(self._forward, self._stack, setting, places, tokens)
                for ask, answer in decoding.run(list(left)):
                    del left[ask]
                    yield ask, answer
                    self._adapters.freeze(kind.shared)  # the caller may have asked for others
            except RuntimeError as error:  # whoever was under way starts again in a smaller batch
                places = halved(error, places, f"one sequence of {tokens} tokens")
                smaller = Budget(max(1, setting.budget.tokens // 2), setting.budget.labels)
                setting = replace(setting, budget=smaller)

    def _scored(self, requests: Sequence[ScoreRequest]) -> Iterator[_Scored]:
        """Requests as trees: one for the responses to a prompt, as long as the context."""
        open_trees: dict[tuple[Weights, Ids], list[tuple[str, Ids]]] = {}
        for request in requests:
            _, own, _ = split(request.weights)
            if request.format == "raw":
                ids = tuple(self._encoder.raw(request.prompt.text, request.response))
                yield _Scored([request.id], own, Tree(ids[:1], (ids[1:],)))
                continue
            pair = self._encoder.answered(request.id, request.prompt, [request.response])
            found = open_trees.setdefault((own, pair.prompt), [])
            taken = len(pair.prompt) + sum(len(ids) for _, ids in found)
            if taken + len(pair.responses[0]) > self._encoder.context:
                yield _tree(own, pair.prompt, found)
                found.clear()
            found.append((request.id, pair.responses[0]))
        for (own, prompt), found in open_trees.items():
            yield _tree(own, prompt, found)

    def _measure(self, shared: Weights, scored: list[_Scored]) -> Iterator[ScoreResult]:
        layout = self._adapters.layout({each.own for each in scored})
        queue = list(packs(scored, lambda each: each.tree, self._planner.budget))[::-1]
        while queue:
            pack = queue.pop()
            self._adapters.freeze(shared)
            try:
                found = self._logprobs(layout, pack)
            except RuntimeError as error:
                what = f"one sequence of {pack[0].tree.tokens} tokens"
                half = halved(error, len(pack), what)
                queue += [pack[half:], pack[:half]]
                continue
            names = [name for each in pack for name in each.ids]
            yield from (ScoreResult(*item) for item in zip(names, found, strict=True))

    @torch.inference_mode()
    def _logprobs(self, layout: Layout, pack: list[_Scored]) -> list[tuple[float, ...]]:
        """Of every branch of a pack, its tokens' log-probabilities."""
        own = list(dict.fromkeys(each.own for each in pack))
        flats = torch.stack([self._adapters.flat(layout, stack) for stack in own])
        views = layout.views(flats.to(self.device, self._model.dtype))
        slots = torch.tensor([own.index(each.own) for each in pack], device=self.device)
        self._stack.batch = Rows(slots=slots)
        with self._stack.having(views):
            trees = [each.tree for each in pack]
            logs, sizes = branch_logprobs(self._forward, trees, self._pad)
        return [tuple(part.tolist()) for part in torch.split(logs, sizes)]

    def _runs(self, jobs: Sequence[TrainJob], chunk: int) -> Iterator[Run]:
        """Jobs with their data encoded, as many ahead as train at once.

        The reference of a DPO never changes: it is scored here, once for all epochs.
        """
        for begin in range(0, len(jobs), chunk):
            runs = [self._run(job) for job in jobs[begin : begin + chunk]]
            dpo = runs[0].job.dpo
            if dpo is not None:
                shared = runs[0].job.frozen
                if dpo.reference[: len(shared)] != shared:
                    shared = split(dpo.reference)[0]
                own = dpo.reference[len(shared) :]
                scored = [
                    _Scored([f"{r} {i} 0", f"{r} {i} 1"], own, item.tree)
                    for r, run in enumerate(runs)
                    for i, item in enumerate(run.items)
                ]
                sums = {each.id: sum(each.logprobs) for each in self._measure(shared, scored)}
                for r, run in enumerate(runs):
                    run.items = [
                        Item(item.tree, (sums[f"{r} {i} 0"], sums[f"{r} {i} 1"]))
                        for i, item in enumerate(run.items)
                    ]
                self._adapters.freeze(runs[0].job.frozen)
            yield from runs

    def _run(self, job: TrainJob) -> Run:
        examples: Sequence[SFTExample | PreferencePair] = job.data
        pairs = [
            self._training_encoder.answered(f"{job.id}, example {n}", item.prompt, item.responses)
            for n, item in enumerate(examples, start=1)
        ]
        items = [Item(Tree(pair.prompt, tuple(pair.responses))) for pair in pairs]
        if job.start is None:
            start = initial_pairs(self._model, job.lora, job.seed)
        else:
            start = self._adapters.start(job.start, job.lora)
        return Run(job, items, start, cut=sum(pair.cut for pair in pairs))

    def _completion(self, asked: _Asked, followed: Ids, answer: Answer) -> Completion:
        return Completion(
            id=asked.request.id,
            sample=asked.sample,
            text=self._encoder.decode(answer.ids),
            token_ids=answer.ids,
            prompt_tokens=len(asked.prompt.ids),
            prompt_head=asked.prompt.ids[:_HEAD],
            prompt_tokens_dropped=asked.prompt.cut,
            truncated=answer.truncated,
            rewards=answer.rewards,
            token_texts=self._encoder.pieces(answer.ids) if answer.rewards else (),
            teacher_ids=followed,
        )


def _tree(own: Weights, prompt: Ids, found: Sequence[tuple[str, Ids]]) -> _Scored:
    return _Scored([name for name, _ in found], own, Tree(prompt, tuple(ids for _, ids in found)))


def _grouped(items: Sequence[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
