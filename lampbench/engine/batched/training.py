"""Training the adapters of many users at once, supervised or by equation 6.

Every user's training is its own: order of examples, loss, clipping, learning rate, warm-up, steps
and dropout are those of that user alone (transformers' Trainer and trl's DPOTrainer give the same
numbers; the tests hold it against both). What users share is the forward and backward pass: in a
round each takes one step, and the rows of all their batches are sorted by length and go through
the model in passes that the device does best, whoever they belong to.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lampbench.engine.batched.checkpoints import Checkpoints
from lampbench.engine.batched.forward import Forward
from lampbench.engine.batched.memory import halved
from lampbench.engine.batched.optimizer import StackedAdamW
from lampbench.engine.batched.shared_prompts import (
    Budget,
    Tree,
    branch_logprobs,
    branch_sums,
    packs,
)
from lampbench.engine.batched.stacked_lora import Dropout, Layout, Pairs, Rows, Stack
from lampbench.engine.dpo_loss import dpo_loss
from lampbench.engine.load_model import quiet
from lampbench.engine.protocol import StepHook, TrainFailure, TrainJob, TrainResult
from lampbench.engine.training_schedule import batch_of, rate, steps_of
from lampbench.util.hashing import seed_from

_LARGE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """An encoded example: the prompt with its response. For DPO with the chosen and the rejected
    response, and the reference's sums of log-probabilities (chosen, rejected).
    """

    tree: Tree
    reference: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True, eq=False)
class Run:
    """One job on its way: where its adapter starts, its data, and what it has to say so far."""

    job: TrainJob
    items: Sequence[Item]
    start: Pairs
    cut: int = 0
    done: int = 0
    losses: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    adapter: Pairs = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return steps_of(self.job.optim, len(self.items))

    @property
    def result(self) -> TrainResult:
        """What the finished job reports."""
        passes = self.job.optim.epochs + (self.job.dpo is not None)
        tokens = passes * sum(item.tree.tokens for item in self.items)
        losses, margins = tuple(self.losses), tuple(self.margins)
        return TrainResult(self.job.id, self.steps, tokens, self.cut, losses, margins)


@dataclass(frozen=True, slots=True)
class _Row:
    """An example in a round: whose it is, its share of that user's loss, its dropout's seed."""

    seat: int
    item: Item
    share: float
    seed: int


class Training:
    """Jobs on the same frozen weights with adapters of the same shape, `seats` of them at once."""

    def __init__(
        self, forward: Forward, stack: Stack, layout: Layout, pad: int, budget: Budget, seats: int
    ) -> None:
        self._forward, self._stack, self._pad = forward, stack, pad
        self._budget = budget
        device = forward.model.device
        values = torch.zeros(seats, layout.size, device=device)
        self._optimizer = StackedAdamW(values, torch.zeros_like(values))
        self._layout = layout
        self._leaves = _leaves(layout, values, self._optimizer.gradients)
        self._seats: list[Run | None] = [None] * seats

    def run(
        self, runs: Iterable[Run], on_step: StepHook, checkpoint_seconds: float
    ) -> Iterator[Run | TrainFailure]:
        """Train to the end; each run is yielded with its `adapter` when it is there.

        A killed job goes on from its last checkpoint to the same result. One whose loss or
        gradient is no longer a number is set aside, and the others go on.

        Raises:
            LampbenchError: a checkpoint is damaged; a single example is too large for the memory.
        """
        waiting = iter(runs)
        saved = time.monotonic()
        with _training_mode(self._forward.model):
            while True:
                self._seat(waiting)
                active = [seat for seat, run in enumerate(self._seats) if run]
                if not active:
                    return
                failures = self._round(active)
                if time.monotonic() - saved >= checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()
                for seat in active:
                    if run := self._seats[seat]:
                        on_step(run.job.id, run.done, run.steps)
                yield from failures
                yield from self._finished()

    def _seat(self, waiting: Iterator[Run]) -> None:
        """Let waiting runs take the free seats."""
        for seat, taken in enumerate(self._seats):
            if taken is None and (run := next(waiting, None)):
                self._seats[seat] = run
                unit = dict.fromkeys(run.start, 1.0)
                optimizer = self._optimizer
                optimizer.values[seat] = self._layout.flat([(run.start, unit)])
                for state in (optimizer.first, optimizer.second, optimizer.gradients):
                    state[seat] = 0
                if saved := Checkpoints(run.job).load():
                    run.done, run.losses, run.margins = (
                        saved[name] for name in ("step", "losses", "margins")
                    )
                    for name in ("values", "first", "second"):
                        getattr(optimizer, name)[seat] = saved[name]

    def _finished(self) -> Iterator[Run]:
        for seat, run in enumerate(self._seats):
            if run and run.done == run.steps:
                vector = self._optimizer.values[seat].detach().cpu().clone()
                run.adapter = self._layout.pairs(vector)
                self._seats[seat] = None
                yield run

    def _round(self, active: list[int]) -> list[TrainFailure]:
        """One step of every active run; returns those that failed, their seats free again."""
        rows = [row for seat in active for row in self._rows(seat)]
        while True:
            try:
                with self._stack.having(self._leaves):
                    losses, margins = self._gradients(rows)
                break
            except RuntimeError as error:
                longest = max(row.item.tree.tokens for row in rows)
                tokens = self._budget.tokens if self._budget.tokens > longest else 1
                what = f"one sequence of {longest} tokens"
                self._budget = Budget(halved(error, tokens, what), self._budget.labels)
                self._optimizer.gradients.zero_()
        return self._update(active, losses, margins)

    def _rows(self, seat: int) -> Iterator[_Row]:
        run = self._seats[seat]
        assert run is not None
        job = run.job
        chosen = batch_of(job.optim, len(run.items), job.seed, run.done)
        items = [run.items[i] for i in chosen]
        total = len(items) if job.dpo else sum(item.tree.labels for item in items)
        for number, item in zip(chosen, items, strict=True):
            yield _Row(seat, item, 1 / total, seed_from(job.seed, "dropout", run.done, number))

    def _gradients(self, rows: list[_Row]) -> tuple[dict[int, float], dict[int, float]]:
        """Loss and, for DPO, margin of each seat, whose gradients are there afterwards."""
        losses: dict[int, float] = {}
        margins: dict[int, float] = {}
        for pack in packs(rows, lambda row: row.item.tree, self._budget):
            shares, gains = self._backward(pack)
            for row, share, gain in zip(pack, shares, gains, strict=True):
                losses[row.seat] = losses.get(row.seat, 0.0) + share
                margins[row.seat] = margins.get(row.seat, 0.0) + gain
        return losses, margins

    def _backward(self, pack: list[_Row]) -> tuple[list[float], list[float]]:
        """Forward and backward pass; each row's share in its user's loss and margin."""
        first = self._seats[pack[0].seat]
        assert first is not None
        device, lora = self._forward.model.device, first.job.lora
        seats = torch.tensor([row.seat for row in pack], device=device)
        keep = None
        if lora.dropout:
            lengths = [row.item.tree.tokens for row in pack]
            keep = Dropout(lora.dropout, [row.seed for row in pack], lengths)
        self._stack.batch = Rows(slots=seats, scale=lora.alpha / lora.rank, keep=keep)
        logs, sizes = branch_logprobs(self._forward, [row.item.tree for row in pack], self._pad)
        sums = branch_sums(logs, sizes).view(len(pack), -1)
        share = sums.new_tensor([row.share for row in pack])
        if first.job.dpo is None:
            losses = -sums.squeeze(-1) * share
            margins = torch.zeros_like(losses)
        else:
            reference = sums.new_tensor([row.item.reference for row in pack])
            losses, margins = dpo_loss(sums, reference, first.job.dpo.beta)
            losses, margins = losses * share, margins * share
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.tolist(), margins.tolist()

    def _update(
        self, active: list[int], losses: dict[int, float], margins: dict[int, float]
    ) -> list[TrainFailure]:
        """One step of the optimiser for each run whose numbers are finite."""
        runs = {seat: run for seat in active if (run := self._seats[seat])}
        slots = torch.tensor(active, device=self._optimizer.values.device)
        with torch.no_grad():
            limits = [run.job.optim.max_grad_norm or math.inf for run in runs.values()]
            norms = dict(zip(active, self._optimizer.clip(slots, limits).tolist(), strict=True))
        failures = []
        for seat, run in list(runs.items()):
            if not math.isfinite(losses[seat]) or not math.isfinite(norms[seat]):
                reason = (
                    f"the loss is {losses[seat]:.3g} and its gradient's norm {norms[seat]:.3g} at "
                    f"step {run.done + 1}; lower the learning rate, or use --dtype float32"
                )
                failures.append(TrainFailure(run.job.id, reason))
                self._seats[seat] = None
                del runs[seat]
        if runs:
            optims = [run.job.optim for run in runs.values()]
            rates = [rate(run.job.optim, run.done, run.steps) for run in runs.values()]
            slots = torch.tensor(list(runs), device=slots.device)
            with torch.no_grad():
                counts = [run.done + 1 for run in runs.values()]
                self._optimizer.step(slots, rates, counts, optims)
        self._optimizer.gradients.zero_()
        for seat, run in runs.items():
            run.done += 1
            run.losses.append(losses[seat])
            if run.job.dpo:
                run.margins.append(margins[seat])
        return failures

    def _save(self) -> None:
        optimizer = self._optimizer
        for seat, run in enumerate(self._seats):
            if run:
                state = {"step": run.done, "losses": run.losses, "margins": run.margins}
                for name in ("values", "first", "second"):
                    state[name] = getattr(optimizer, name)[seat].detach().clone()
                Checkpoints(run.job).save(state)


def _leaves(layout: Layout, values: Tensor, gradients: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Parameters by layer that are views of `values` and whose gradients are of `gradients`."""
    slopes = layout.views(gradients)
    leaves = {}
    for name, pair in layout.views(values).items():
        first, second = (half.detach().requires_grad_(True) for half in pair)
        first.grad, second.grad = slopes[name]
        leaves[name] = first, second
    return leaves


@contextmanager
def _training_mode(model: Any) -> Iterator[None]:
    """Reproducible kernels where a device has others.

    A large model recomputes its activations in the backward pass, since they, not the weights,
    would fill the memory.
    """
    recompute = sum(parameter.numel() for parameter in model.parameters()) > _LARGE
    strict = torch.are_deterministic_algorithms_enabled()
    with quiet():
        if recompute:
            model.train()  # transformers recomputes in this mode alone
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
