"""Answers, scores and training of one user, with PEFT and transformers alone.

The tests compare the engines with these. Nothing here is batched, padded, cached or merged; of
lampbench only the training schedule is used: which example comes when, and at what rate.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.protocol import (
    GenerateRequest,
    GenerationSpec,
    Sampling,
    TrainJob,
    Weights,
)
from lampbench.engine.training_schedule import batch_indices, learning_rate, total_steps
from lampbench.util.hashing import seed_from

Ids = Sequence[int]
Encoded = tuple[Ids, Sequence[Ids]]
"""An example: the prompt, and its responses."""


class PlainPeft:
    """A model on which PEFT loads adapters when they are first named."""

    def __init__(self, model: Any) -> None:
        self._bare = model
        self._model: Any = None
        self._names: dict[Any, str] = {}

    def logits(self, weights: Weights, ids: Ids) -> Tensor:
        """Logits [tokens, vocabulary] in double precision; all adapters of `weights` are active."""
        tokens = torch.tensor([ids])
        with torch.no_grad():
            if not weights:
                if self._model is None:
                    return _double(self._bare(tokens, use_cache=False))
                with self._model.disable_adapter():
                    return _double(self._model(tokens, use_cache=False))
            self._activate(weights)
            return _double(self._model(tokens, use_cache=False))

    def _activate(self, weights: Weights) -> None:
        from peft import PeftModel

        for path in weights:
            if path not in self._names:
                self._names[path] = name = f"adapter{len(self._names)}"
                if self._model is None:
                    self._model = PeftModel.from_pretrained(self._bare, str(path), name).eval()
                else:
                    self._model.load_adapter(str(path), name)
        self._model.base_model.set_adapter([self._names[path] for path in weights])

    def answer(
        self, weights: Weights, spec: GenerationSpec, ids: Ids, stop: Collection[int], seed: int = 0
    ) -> tuple[int, ...]:
        """New tokens, each from the whole sequence so far, in the terms of equations 1 to 3."""
        ids, begin = list(ids), len(ids)
        for step in range(spec.max_new_tokens):
            seen = torch.tensor(sorted(set(ids)))
            logits = self.logits(weights, ids)[-1]
            if spec.penalty_on == "logits":
                logits = _penalised(logits, seen, spec.repetition_penalty)
            scores = logits.log_softmax(-1)
            if contrast := spec.contrast:
                p_user = scores.exp()
                p_base = self.logits(contrast.against, ids)[-1].softmax(-1)
                scores = (p_user / p_base**contrast.alpha).log()
                scores[p_user < contrast.tau * p_user.max()] = -torch.inf
            if spec.penalty_on == "scores":
                scores = _penalised(scores, seen, spec.repetition_penalty)
            if spec.sampling:
                scores = _first(scores, spec.sampling, splitmix(seed, step))
            token = int(scores.argmax())
            if token in stop:
                break
            ids.append(token)
        return tuple(ids[begin:])

    def logprobs(self, weights: Weights, prompt: Ids, response: Ids) -> list[float]:
        """Log-probability of each token of a response."""
        logs = self.logits(weights, [*prompt, *response]).log_softmax(-1)
        positions = range(len(prompt) - 1, len(prompt) + len(response) - 1)
        return [float(logs[p, token]) for p, token in zip(positions, response, strict=True)]


def plain_answers(
    engine: Any, plain: PlainPeft, requests: Sequence[GenerateRequest]
) -> dict[tuple[str, int], tuple[int, ...]]:
    """The tokens of every answer, by request and sample, made one at a time."""
    found = {}
    for r in requests:
        ids = engine._encoder.encode_prompt("q", r.prompt, engine._encoder.context - 20).ids
        for sample in range(r.samples):
            seed = seed_from(r.seed, sample)
            found[r.id, sample] = plain.answer(r.weights, r.spec, ids, engine._stop, seed)
    return found


def plain_training(
    model: Any, start: Any, job: TrainJob, examples: Sequence[Encoded]
) -> tuple[list[float], dict[str, Tensor]]:
    """Losses, and the adapter by its names on disk, after a plain training loop from `start`.

    The job's frozen adapters are merged into `model`, which is also the reference model of DPO.
    """
    from peft import PeftModel, get_peft_model_state_dict

    policy = PeftModel.from_pretrained(model, str(start), is_trainable=True)
    learning = [weight for weight in policy.parameters() if weight.requires_grad]
    spec = job.optim
    optimizer = torch.optim.AdamW(learning, lr=1.0, weight_decay=spec.weight_decay)
    losses, steps = [], total_steps(spec, len(examples))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(spec, step, steps)
        batch = [examples[i] for i in batch_indices(spec, len(examples), job.seed, step)]
        loss = _preference(policy, batch, job.dpo.beta) if job.dpo else _mean(policy, batch)
        torch.autograd.backward(loss)
        if spec.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(learning, spec.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses, get_peft_model_state_dict(policy)


def greedy_loop(
    ids: Ids, stop: Collection[int], budget: int, step: Callable[[Tensor], int]
) -> tuple[int, ...]:
    """Tokens chosen one at a time by `step`, each from the whole sequence so far [1, tokens]."""
    ids, begin = list(ids), len(ids)
    while len(ids) < begin + budget and (token := step(torch.tensor([ids]))) not in stop:
        ids.append(token)
    return tuple(ids[begin:])


def _double(output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits[0].double()


def _penalised(scores: Tensor, seen: Tensor, penalty: float) -> Tensor:
    worse = torch.where(scores[seen] < 0, scores[seen] * penalty, scores[seen] / penalty)
    return scores.scatter(0, seen, worse)


def splitmix(key: int, number: int) -> int:
    """Number `number`, from 0, of SplitMix64 with this key, in plain arithmetic."""
    word = (key + (number + 1) * 0x9E3779B97F4A7C15) % 2**64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
    return word ^ word >> 31


def _first(scores: Tensor, sampling: Sampling, key: int) -> Tensor:
    """Highest for the token of the nucleus that rings first; its clock runs at its probability."""
    mass = (scores / sampling.temperature).softmax(-1)
    ordered, tokens = mass.sort(descending=True)
    kept = tokens[ordered.cumsum(0) - ordered < sampling.top_p]
    words = [splitmix(key, token // 2) >> 32 * (token % 2) for token in range(len(mass))]
    uniform = torch.tensor([word % 2**31 + 0.5 for word in words], dtype=torch.double) / 2**31
    rings = -torch.log1p(-uniform) / mass
    return torch.full_like(mass, -torch.inf).scatter(0, kept, -rings[kept])


def _logs(model: Any, prompt: Ids, response: Ids) -> Tensor:
    logits: Tensor = model(torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
    logs = logits[len(prompt) - 1 : -1].log_softmax(-1)
    return logs.gather(1, torch.tensor(response).unsqueeze(1)).squeeze(1)


def _mean(policy: Any, batch: Sequence[Encoded]) -> Tensor:
    return -torch.cat([_logs(policy, prompt, response) for prompt, (response,) in batch]).mean()


def _preference(policy: Any, batch: Sequence[Encoded], beta: float) -> Tensor:
    losses = []
    for prompt, responses in batch:
        chosen, rejected = (_logs(policy, prompt, response).sum() for response in responses)
        with torch.no_grad(), policy.disable_adapter():
            first, second = (_logs(policy, prompt, response).sum() for response in responses)
        losses.append(-((chosen - first - rejected + second) * beta).sigmoid().log())
    return torch.stack(losses).mean()
