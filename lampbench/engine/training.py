"""Training one adapter, supervised or by equation 6: a plain loop in which every draw is seeded.

The numbers are those of transformers' Trainer and trl's DPOTrainer (the tests hold it against
both). The loop is our own because a run trains an adapter per user, a hundred of them: starting a
trainer for each took half a second where this loop takes three hundredths. trl's would moreover
take a copy of the adapter it starts from as reference (not TAM, as equation 6 has it), tokenize
by itself, and leave its own forward pass on the shared model. And a state that is no more than
(step, adapter, moments) resumes to the same bytes.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.batching import smaller
from lampbench.engine.checkpoints import Checkpoints
from lampbench.engine.dpo import dpo_loss
from lampbench.engine.loading import quiet
from lampbench.engine.protocol import OptimSpec, TrainJob
from lampbench.engine.randomness import seeded
from lampbench.engine.scoring import response_logprobs
from lampbench.errors import LampbenchError
from lampbench.hashing import seed_from

_LARGE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """An encoded example: prompt and response. For DPO also the rejected response, and the
    reference's sums of log-probabilities (chosen, rejected).
    """

    prompt: tuple[int, ...]
    response: tuple[int, ...]
    rejected: tuple[int, ...] | None = None
    reference: tuple[float, float] | None = None

    @property
    def tokens(self) -> int:
        """Tokens of all its sequences."""
        other = len(self.prompt) + len(self.rejected) if self.rejected is not None else 0
        return len(self.prompt) + len(self.response) + other


@dataclass(slots=True)
class Log:
    """Loss and, for DPO, mean reward margin of each step."""

    losses: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)


def steps_of(spec: OptimSpec, examples: int) -> int:
    """Optimiser steps in all; the last batch of an epoch may be smaller."""
    return spec.epochs * math.ceil(examples / spec.batch_size)


def rate(spec: OptimSpec, step: int, steps: int) -> float:
    """Learning rate of a step (from 0): linear warm-up from zero over ceil(ratio x steps) steps,
    then linear decay towards zero.
    """
    warmup = math.ceil(spec.warmup_ratio * steps)
    if step < warmup:
        return spec.learning_rate * step / warmup
    return spec.learning_rate * (steps - step) / max(1, steps - warmup)


def batch_of(spec: OptimSpec, examples: int, seed: int, step: int) -> list[int]:
    """The examples of a step; every epoch has its own order, drawn from the job's seed."""
    epoch, place = divmod(step, math.ceil(examples / spec.batch_size))
    shuffle = torch.Generator().manual_seed(seed_from(seed, "order", epoch))
    order = torch.randperm(examples, generator=shuffle).tolist()
    return order[place * spec.batch_size : (place + 1) * spec.batch_size]


class Training:
    """One job on its way. `parameters` are the adapter's, on the model where they act."""

    def __init__(
        self, job: TrainJob, model: Any, parameters: dict[str, Any], data: Sequence[Item], pad: int
    ) -> None:
        self._job, self._model, self._parameters = job, model, parameters
        self._data, self._pad = data, pad
        self._beta = job.dpo.beta if job.dpo else None
        self._micro = job.optim.batch_size
        self._optimizer = torch.optim.AdamW(
            parameters.values(), lr=job.optim.learning_rate, weight_decay=job.optim.weight_decay
        )
        self._log = Log()

    def run(self, on_step: Callable[[int, int], None], checkpoint_seconds: float) -> Log:
        """Train to the end; a killed job goes on from its last checkpoint to the same result.

        Raises:
            LampbenchError: loss or gradient is no longer a number.
        """
        job, optim = self._job, self._job.optim
        steps = steps_of(optim, len(self._data))
        checkpoints = Checkpoints(job)
        begin = self._resume(checkpoints)
        saved = time.monotonic()
        with _training_mode(self._model):
            for step in range(begin, steps):
                for group in self._optimizer.param_groups:
                    group["lr"] = rate(optim, step, steps)
                batch = batch_of(optim, len(self._data), job.seed, step)
                self._gradients([self._data[i] for i in batch], step)
                self._update(step)
                if time.monotonic() - saved >= checkpoint_seconds and step + 1 < steps:
                    checkpoints.save(self._state(step + 1))
                    saved = time.monotonic()
                on_step(step + 1, steps)
        return self._log

    def _gradients(self, batch: list[Item], step: int) -> None:
        """Loss of a batch and its gradient, in as many parts as the device's memory asks for."""
        while True:
            try:
                with seeded(seed_from(self._job.seed, "dropout", step), self._model.device):
                    self._record(list(self._parts(batch)))
                return
            except RuntimeError as error:
                longest = max(item.tokens for item in batch)
                self._micro = smaller(error, min(self._micro, len(batch)), longest)
                self._optimizer.zero_grad(set_to_none=True)

    def _parts(self, batch: list[Item]) -> Iterator[tuple[float, float]]:
        """Share in the loss and margin of a batch of each of its parts, after its backward pass."""
        for i in range(0, len(batch), self._micro):
            part = batch[i : i + self._micro]
            loss, margin = (
                self._supervised(part, batch)
                if self._beta is None
                else (self._preference(part, batch, self._beta))
            )
            loss.backward()  # type: ignore[no-untyped-call]
            yield float(loss.detach()), margin

    def _supervised(self, part: list[Item], batch: list[Item]) -> tuple[Tensor, float]:
        """Negative log-likelihood of the part's response tokens, over the tokens of the batch."""
        logs = response_logprobs(
            self._model, [i.prompt for i in part], [i.response for i in part], self._pad
        )
        return -torch.cat(logs).sum() / sum(len(item.response) for item in batch), 0.0

    def _preference(self, part: list[Item], batch: list[Item], beta: float) -> tuple[Tensor, float]:
        """Loss of equation 6 and margin, summed over the part's pairs, over those of the batch."""
        logs = response_logprobs(
            self._model,
            [item.prompt for item in part] * 2,
            [i.response for i in part] + [i.rejected or () for i in part],
            self._pad,
        )
        policy = torch.stack([log.sum() for log in logs]).view(2, -1).T
        reference = policy.new_tensor([item.reference for item in part])
        losses, margins = dpo_loss(policy, reference, beta)
        return losses.sum() / len(batch), float(margins.detach().sum()) / len(batch)

    def _record(self, shares: list[tuple[float, float]]) -> None:
        self._log.losses.append(math.fsum(loss for loss, _ in shares))
        if self._beta is not None:
            self._log.margins.append(math.fsum(margin for _, margin in shares))

    def _update(self, step: int) -> None:
        """One step of the optimiser, with clipped gradients."""
        limit = self._job.optim.max_grad_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), limit)
        loss = self._log.losses[-1]
        if not math.isfinite(loss) or not torch.isfinite(norm):
            raise LampbenchError(
                f"training {self._job.id}: the loss is {loss} and its gradient's norm "
                f"{float(norm)} at step {step + 1}; lower the learning rate, or use "
                "--dtype float32"
            )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _state(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "adapter": {name: p.detach() for name, p in self._parameters.items()},
            "optimizer": self._optimizer.state_dict(),
            "losses": self._log.losses,
            "margins": self._log.margins,
        }

    def _resume(self, checkpoints: Checkpoints) -> int:
        """Take up the last checkpoint; returns the steps done."""
        state = checkpoints.load()
        if state is None:
            return 0
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state["adapter"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._log = Log(state["losses"], state["margins"])
        return int(state["step"])


@contextmanager
def _training_mode(model: Any) -> Iterator[None]:
    """Dropout on, and reproducible kernels where a device has others.

    A large model recomputes its activations in the backward pass, since they, not the weights,
    would fill the memory.
    """
    recompute = sum(parameter.numel() for parameter in model.parameters()) > _LARGE
    strict = torch.are_deterministic_algorithms_enabled()
    with quiet():
        model.train()
        if recompute:
            _checkpointing(model, "enable")
        if model.device.type == "cuda" and not strict:
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            model.eval()
            if recompute:
                _checkpointing(model, "disable")
            if model.device.type == "cuda" and not strict:
                torch.use_deterministic_algorithms(False)


def _checkpointing(model: Any, what: str) -> None:
    """Enable or disable it, under its new name in transformers or the old one."""
    new = getattr(model, f"activation_checkpointing_{what}", None)
    (new or getattr(model, f"gradient_checkpointing_{what}"))()
