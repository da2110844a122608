"""The reference backend: one user, one query, one token at a time, as the released code works.

Slow, and written to be read beside the paper's equations. It is what the many-user engine is held
against in the tests, and the "reference-style loop" that the benchmarks name: two copies of the
model for contrastive decoding, the user's LoRA on it through PEFT, TAM merged into its weights,
and a training loop per user. It shares with the other backend the text that goes in (chat
templates), the checks of adapter files and the equations themselves.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lampbench.core.fidelity import Fidelity
from lampbench.engine import adapter_files
from lampbench.engine.adapter_files import signature
from lampbench.engine.batched.generation import Answer
from lampbench.engine.chat_template import Encoder, family_template
from lampbench.engine.dpo_loss import dpo_loss
from lampbench.engine.load_model import load
from lampbench.engine.lora_init import initial_pairs, lora_config
from lampbench.engine.models import ModelSpec
from lampbench.engine.next_token import draw, next_scores, rewards_of, uniforms
from lampbench.engine.protocol import (
    Completion,
    GenerateRequest,
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
from lampbench.engine.randomness import seeded
from lampbench.engine.training_schedule import batch_of, rate, steps_of
from lampbench.util.hashing import seed_from

_HEAD = 8  # token ids of a prompt that a completion shows
_USER = "user"
_Ids = tuple[int, ...]


class ReferenceEngine:
    """Answers, scores and trains one model. See `lampbench.engine.protocol`."""

    def __init__(
        self,
        spec: ModelSpec,
        *,
        device: str | None,
        dtype: str,
        chat_template: str | None,
        fidelity: Fidelity,
        context: int | None = None,
    ) -> None:
        loaded = load(spec, device, dtype)
        self._pristine = loaded.model
        self._base = spec.location
        self.device = loaded.device
        length = min(loaded.context, context or loaded.context)
        own = family_template(loaded.model.config.model_type) if fidelity.split_templates else None
        self._encoder = Encoder(loaded.tokenizer, chat_template, length, fidelity)
        self._training_encoder = Encoder(
            loaded.tokenizer, own or chat_template, length, fidelity, training=True
        )
        self._stop = self._encoder.stop_ids(loaded.model)
        self._user = _Copy(self._pristine, self._base)
        self._against = _Copy(self._pristine, self._base)

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts, one after the other.

        Raises:
            LampbenchError: a prompt does not fit, or an adapter does not.
        """
        for request in requests:
            room = self._encoder.context - request.spec.max_new_tokens
            prompt = self._encoder.prompt(request.id, request.prompt, room)
            follow = self._encoder.response(request.teacher_text)[: request.spec.max_new_tokens]
            for sample in range(request.samples):
                seed = seed_from(request.seed, sample)
                answer = self._answer(request, prompt.ids, follow, seed)
                yield Completion(
                    id=request.id,
                    sample=sample,
                    text=self._encoder.decode(answer.ids),
                    token_ids=answer.ids,
                    prompt_tokens=len(prompt.ids),
                    prompt_head=prompt.ids[:_HEAD],
                    prompt_tokens_dropped=prompt.cut,
                    truncated=answer.truncated,
                    rewards=answer.rewards,
                    token_texts=self._encoder.pieces(answer.ids) if answer.rewards else (),
                    teacher_ids=follow,
                )

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses, float32, one after the other.

        Raises:
            LampbenchError: as in `generate`.
        """
        for request in requests:
            if request.format == "raw":
                ids = tuple(self._encoder.raw(request.prompt.text, request.response))
                prompt, response = ids[:1], ids[1:]
            else:
                pair = self._encoder.answered(request.id, request.prompt, [request.response])
                prompt, response = pair.prompt, pair.responses[0]
            model = self._user.having(request.weights)
            with torch.no_grad():
                logs = self._logprobs(model, prompt, response)
            yield ScoreResult(request.id, tuple(logs.tolist()))

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Train adapters, one after the other, with transformers' and trl's losses.

        Raises:
            LampbenchError: as in `generate`.
        """
        for job in jobs:
            model = self._user.training(job)
            parameters = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(
                parameters, lr=job.optim.learning_rate, weight_decay=job.optim.weight_decay
            )
            steps = steps_of(job.optim, len(job.data))
            losses: list[float] = []
            margins: list[float] = []
            failure = None
            for step in range(steps):
                for group in optimizer.param_groups:
                    group["lr"] = rate(job.optim, step, steps)
                chosen = batch_of(job.optim, len(job.data), job.seed, step)
                _drop(model, True)
                with seeded(seed_from(job.seed, "dropout", step), self.device):
                    loss, margin = self._loss(model, job, [job.data[i] for i in chosen])
                _drop(model, False)
                loss.backward()  # type: ignore[no-untyped-call]
                limit = job.optim.max_grad_norm or math.inf
                norm = float(torch.nn.utils.clip_grad_norm_(parameters, limit))
                losses.append(float(loss.detach()))
                margins.append(margin)
                if not math.isfinite(losses[-1]) or not math.isfinite(norm):
                    failure = f"the loss is {losses[-1]} and its gradient's norm {norm}"
                    break
                optimizer.step()
                optimizer.zero_grad()
                on_step(job.id, step + 1, steps)
            if failure:
                yield TrainFailure(job.id, f"{failure} at step {len(losses)}")
                continue
            self._user.save(job)
            kept = tuple(margins) if job.dpo else ()
            yield TrainResult(job.id, steps, self._tokens(job), 0, tuple(losses), kept)

    def _answer(self, request: GenerateRequest, prompt: _Ids, follow: _Ids, seed: int) -> Answer:
        """Equations 1 to 3, token by token, after the tokens of `follow` where there are any."""
        from transformers import DynamicCache

        spec = request.spec
        user = self._user.having(request.weights)
        base = None if spec.contrast is None else self._against.having(spec.contrast.against)
        random = torch.Generator(self.device).manual_seed(seed)
        new = torch.tensor([prompt], device=self.device)
        seen = torch.zeros(1, user.config.get_text_config().vocab_size, device=self.device) > 0
        caches = DynamicCache(config=user.config), DynamicCache(config=user.config)
        answer: list[int] = []
        rewards: list[float] = []
        with torch.inference_mode():
            for place in range(len(follow) or spec.max_new_tokens):
                seen.scatter_(1, new, True)
                of_user = _next_logits(user, new, caches[0])
                of_base = None if base is None else _next_logits(base, new, caches[1])
                scores = next_scores(spec, of_user, of_base, seen)
                if spec.sampling:
                    token = draw(scores, spec.sampling, uniforms([random], scores))
                else:
                    token = scores.argmax(dim=-1)
                if not follow and int(token) in self._stop:
                    return Answer(tuple(answer), False, tuple(rewards))
                answer.append(int(token))
                if spec.rewards and of_base is not None:
                    rewards.append(float(rewards_of(spec, of_user, of_base, token)))
                after = follow[place] if follow else int(token)
                new = torch.tensor([[after]], device=self.device)
        return Answer(tuple(answer), True, tuple(rewards))

    def _loss(
        self, model: Any, job: TrainJob, batch: Sequence[SFTExample | PreferencePair]
    ) -> tuple[Tensor, float]:
        """Mean negative log-likelihood of the responses' tokens, or equation 6 and its margin."""
        if job.dpo is None:
            logs = [
                self._logprobs(model, prompt, response)
                for item in batch
                for prompt, (response,) in [self._encoded(job, item)]
            ]
            return -torch.cat(logs).mean(), 0.0
        reference = self._against.having(job.dpo.reference)
        pairs = [self._encoded(job, item) for item in batch]
        policy = [[self._logprobs(model, p, r).sum() for r in rs] for p, rs in pairs]
        with torch.no_grad():
            fixed = [[self._logprobs(reference, p, r).sum() for r in rs] for p, rs in pairs]
        losses, margins = dpo_loss(_table(policy), _table(fixed), job.dpo.beta)
        return losses.mean(), float(margins.detach().mean())

    def _logprobs(self, model: Any, prompt: _Ids, response: _Ids) -> Tensor:
        """Log p(token | everything before it) of each token of the response."""
        tokens = torch.tensor([[*prompt, *response]], device=self.device)
        logits: Tensor = model(input_ids=tokens, use_cache=False).logits
        logs = logits[0].float().log_softmax(dim=-1)
        places = torch.arange(len(prompt) - 1, tokens.shape[1] - 1, device=self.device)
        return logs[places, tokens[0, places + 1]]

    def _encoded(
        self, job: TrainJob, item: SFTExample | PreferencePair
    ) -> tuple[_Ids, tuple[_Ids, ...]]:
        pair = self._training_encoder.answered(job.id, item.prompt, item.responses)
        return pair.prompt, tuple(pair.responses)

    def _tokens(self, job: TrainJob) -> int:
        """Tokens that went through the model: all of every sequence, in every epoch."""
        passes = job.optim.epochs * (2 if job.dpo else 1)  # the reference reads them as often
        encoded = [self._encoded(job, item) for item in job.data]
        return passes * sum(len(p) + len(r) for p, responses in encoded for r in responses)


class _Copy:
    """One of the two copies of the model: TAM merged into it, the last adapter on it as a LoRA."""

    def __init__(self, pristine: Any, base: str) -> None:
        self._pristine, self._base = pristine, base
        self._merged: Any = None  # what tells the adapters in the weights from others
        self._plain: Any = None
        self._on_it: Any = None
        self._model: Any = None

    def having(self, weights: Weights) -> Any:
        """The copy with a stack of adapters, for inference."""
        from peft import PeftModel

        frozen, last = weights[:-1], weights[-1:]
        wanted = [signature(path) for path in weights]
        if self._on_it != wanted:
            plain = self._frozen(frozen)
            self._model = plain
            if last:
                self._readable(last[0])
                self._model = PeftModel.from_pretrained(plain, str(last[0]), adapter_name=_USER)
            self._model.eval()
            self._on_it = wanted
        return self._model

    def training(self, job: TrainJob) -> Any:
        """The copy with a trainable LoRA: new, or the one that the job continues."""
        from peft import get_peft_model

        if job.start is None:
            pairs = initial_pairs(self._pristine, job.lora, job.seed)
        else:
            found = self._readable(job.start)
            found.require(job.lora, self._pristine)
            pairs = dict(found.layers)
        plain = self._frozen(job.frozen)
        config = lora_config(plain, job.lora, self._base)
        config.inference_mode = False
        self._model = get_peft_model(plain, config, adapter_name=_USER)
        for name, halves in pairs.items():
            layer = self._model.base_model.model.get_submodule(name)
            for half, given in zip((layer.lora_A, layer.lora_B), halves, strict=True):
                half[_USER].weight.data = given.float().to(plain.device)
        return self._model

    def save(self, job: TrainJob) -> None:
        """Write the trained adapter in PEFT's format."""
        plain = self._model.base_model.model
        names = initial_pairs(self._pristine, job.lora, job.seed)
        layers = {name: plain.get_submodule(name) for name in names}
        pairs = {
            name: (layer.lora_A[_USER].weight, layer.lora_B[_USER].weight)
            for name, layer in layers.items()
        }
        adapter_files.write(job.output, lora_config(plain, job.lora, self._base), pairs)

    def _frozen(self, weights: Weights) -> Any:
        """The copy with adapters merged into its weights; made anew when they are others."""
        from peft import PeftModel

        if self._model is not self._plain:  # take the last user's LoRA off again
            self._plain = self._model.unload()
        self._on_it, self._model = None, self._plain
        wanted = [signature(path) for path in weights]
        if wanted != self._merged:
            self._merged = None
            self._plain = copy.deepcopy(self._pristine)
            for path in weights:
                self._readable(path)
                stacked = PeftModel.from_pretrained(self._plain, str(path))
                self._plain = stacked.merge_and_unload()
            self._merged, self._model = wanted, self._plain
        return self._plain

    def _readable(self, path: Path) -> adapter_files.AdapterFile:
        return adapter_files.read(path, self._pristine, self._base)


def _drop(model: Any, active: bool) -> None:
    """The adapter's dropout, and no other: the base model's own stays off, as in every backend."""
    for name, module in model.named_modules():
        if name.endswith("lora_dropout"):
            module.train(active)


def _next_logits(model: Any, new: Tensor, cache: Any) -> Tensor:
    """Logits [1, vocabulary], float32, after the new tokens [1, new]; the cache knows the rest."""
    logits: Tensor = model(input_ids=new, past_key_values=cache, use_cache=True).logits
    return logits[:, -1].float()


def _table(sums: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(list(row)) for row in sums])
