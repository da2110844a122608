"""Training the adapters of many users at once, supervised or by equation 6.

Each user's training is independent: the order of its examples, its loss, clipping, learning rate,
warm-up, steps and dropout are the same as if the user were trained alone (the tests compare it with
transformers' Trainer and trl's DPOTrainer). Users share the forward and backward passes: in a
round, each takes one step, and the rows of all their batches are sorted by length and packed into
passes of the size that suits the device.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lampbench.engine.batched.adapter_layout import AdapterLayout
from lampbench.engine.batched.forward_pass import ForwardPass
from lampbench.engine.batched.optimizer import StackedAdamW
from lampbench.engine.batched.packing import PassLimits, pack
from lampbench.engine.batched.prompt_tree import branch_logprobs, branch_sums
from lampbench.engine.batched.stacked_lora import RowAdapters, StackedLora
from lampbench.engine.batched.training_checkpoints import TrainingCheckpoints
from lampbench.engine.batched.training_mode import training_mode
from lampbench.engine.batched.training_run import TrainingExample, TrainingRun
from lampbench.engine.device_memory import halved
from lampbench.engine.divergence import divergence
from lampbench.engine.dpo_loss import dpo_loss
from lampbench.engine.lora_dropout import LoraDropout
from lampbench.engine.protocol import StepHook, TrainFailure
from lampbench.engine.training_schedule import batch_indices, dropout_seed, learning_rate
from lampbench.util.interrupt import Stopped, unbroken


@dataclass(frozen=True, slots=True)
class _TrainingRow:
    """An example in a round: its slot, its share of that user's loss, the seed of its dropout."""

    slot: int
    example: TrainingExample
    share: float
    seed: int


class TrainingLoop:
    """Trains jobs on the same frozen weights and with the same adapter shape, `slots` at once.

    `pad` is the padding token, `limits` bounds a pass over examples; `say` takes messages about
    damaged checkpoints.
    """

    def __init__(
        self,
        forward: ForwardPass,
        stacked: StackedLora,
        layout: AdapterLayout,
        pad: int,
        limits: PassLimits,
        slots: int,
        say: Callable[[str], object],
    ) -> None:
        self._forward, self._stacked, self._pad = forward, stacked, pad
        self._say = say
        self._limits = limits
        device = forward.model.device
        values = torch.zeros(slots, layout.size, device=device)
        self._optimizer = StackedAdamW(values, torch.zeros_like(values), forward.batch_invariant)
        self._layout = layout
        self._parameters = _parameters(layout, values, self._optimizer.gradients)
        self._slots: list[TrainingRun | None] = [None] * slots

    def run(
        self, runs: Iterable[TrainingRun], on_step: StepHook, checkpoint_seconds: float
    ) -> Iterator[TrainingRun | TrainFailure]:
        """Train to the end; a run is yielded, with its `adapter`, as soon as it has ended.

        A run that was killed continues from its last checkpoint, to the same result. One whose loss
        or gradient becomes NaN or infinite is given up, and the others continue. A signal takes
        effect between two rounds, after a checkpoint of every run that is under way.

        Raises:
            LampbenchError: a single example does not fit into the memory; the disk is full.
            Stopped: a signal, or the end of the given time, ended the process.
        """
        waiting = iter(runs)
        saved = time.monotonic()
        while True:
            self._admit(waiting)
            if ended := self._finished():  # by the last step, or by a checkpoint taken after it
                yield from ended
                continue
            active = [slot for slot, run in enumerate(self._slots) if run]
            if not active:
                return
            complete = False
            try:
                # within a round only: between two, the caller may ask the model for answers
                with unbroken(), training_mode(self._forward.model):
                    failures = self._round(active)
                    complete = True
            except Stopped:
                if complete:  # a second signal stops within a round
                    self._save()
                raise
            if time.monotonic() - saved >= checkpoint_seconds:
                self._save()
                saved = time.monotonic()
            for slot in active:
                if run := self._slots[slot]:
                    on_step(run.job.id, run.done, run.steps)
            yield from failures

    def _admit(self, waiting: Iterator[TrainingRun]) -> None:
        """Let waiting runs take the free slots."""
        resumed = []
        for slot, taken in enumerate(self._slots):
            if taken is None and (run := next(waiting, None)):
                self._slots[slot] = run
                unit = dict.fromkeys(run.start, 1.0)
                optimizer = self._optimizer
                optimizer.values[slot] = self._layout.flatten([(run.start, unit)])
                for state in (optimizer.first, optimizer.second, optimizer.gradients):
                    state[slot] = 0
                if saved := TrainingCheckpoints(run.job, self._say).load(run.steps):
                    run.done, run.losses, run.margins = (
                        saved[name] for name in ("step", "losses", "margins")
                    )
                    for name in ("values", "first", "second"):
                        getattr(optimizer, name)[slot] = saved[name]
                    resumed.append(run)
        if resumed:
            self._say(_resumed(resumed))

    def _finished(self) -> list[TrainingRun]:
        """The runs that have done all their steps, with their adapters, their slots free again."""
        ended = []
        for slot, run in enumerate(self._slots):
            if run and run.done == run.steps:
                vector = self._optimizer.values[slot].detach().cpu().clone()
                run.adapter = self._layout.unflatten(vector)
                self._slots[slot] = None
                ended.append(run)
        return ended

    def _round(self, active: list[int]) -> list[TrainFailure]:
        """One step of every active run; returns those that failed, their slots free again."""
        rows = [row for slot in active for row in self._rows(slot)]
        while True:
            try:
                with self._stacked.using(self._parameters):
                    losses, margins = self._gradients(rows)
                break
            except RuntimeError as error:
                longest = max(row.example.tree.tokens for row in rows)
                tokens = self._limits.tokens if self._limits.tokens > longest else 1
                tokens = halved(tokens, error, f"one sequence of {longest} tokens")
                self._limits = PassLimits(tokens, self._limits.labels)
                self._optimizer.gradients.zero_()
        return self._update(active, losses, margins)

    def _rows(self, slot: int) -> Iterator[_TrainingRow]:
        run = self._slots[slot]
        assert run is not None
        job = run.job
        chosen = batch_indices(job.optim, len(run.examples), job.seed, run.done)
        batch = [run.examples[i] for i in chosen]
        total = len(batch) if job.dpo else sum(example.tree.labels for example in batch)
        for number, example in zip(chosen, batch, strict=True):
            seed = dropout_seed(job.seed, run.done, number)
            yield _TrainingRow(slot, example, 1 / total, seed)

    def _gradients(self, rows: list[_TrainingRow]) -> tuple[dict[int, float], dict[int, float]]:
        """Compute all slots' gradients; returns their losses and, for DPO, margins."""
        losses: dict[int, float] = {}
        margins: dict[int, float] = {}
        invariant = self._forward.batch_invariant
        for batch in pack(rows, lambda row: row.example.tree, self._limits, invariant):
            shares, gains = self._backward(batch)
            for row, share, gain in zip(batch, shares, gains, strict=True):
                losses[row.slot] = losses.get(row.slot, 0.0) + share
                margins[row.slot] = margins.get(row.slot, 0.0) + gain
        return losses, margins

    def _backward(self, batch: list[_TrainingRow]) -> tuple[list[float], list[float]]:
        """Forward and backward pass; each row's share of its user's loss and margin."""
        first = self._slots[batch[0].slot]
        assert first is not None
        device, lora = self._forward.model.device, first.job.lora
        trees = [row.example.tree for row in batch]
        dropout = None
        if lora.dropout:
            seeds = torch.tensor([row.seed for row in batch], device=device)
            length = self._forward.length(max(tree.tokens for tree in trees))
            columns = torch.arange(length, device=device)
            dropout = LoraDropout(lora.dropout, seeds, columns)
        self._stacked.rows = RowAdapters(
            indices=torch.tensor([row.slot for row in batch], device=device),
            factor=lora.alpha / lora.rank,
            dropout=dropout,
        )
        logs, lengths = branch_logprobs(self._forward, trees, self._pad)
        sums = branch_sums(logs, lengths).view(len(batch), -1)
        share = sums.new_tensor([row.share for row in batch])
        if first.job.dpo is None:
            losses = -sums.squeeze(-1) * share
            margins = torch.zeros_like(losses)
        else:
            reference = sums.new_tensor([row.example.reference for row in batch])
            losses, margins = dpo_loss(sums, reference, first.job.dpo.beta)
            losses, margins = losses * share, margins * share
        torch.autograd.backward(losses.sum())
        return losses.tolist(), margins.tolist()

    def _update(
        self, active: list[int], losses: dict[int, float], margins: dict[int, float]
    ) -> list[TrainFailure]:
        """One step of the optimiser for each run whose numbers are finite."""
        runs = {slot: run for slot in active if (run := self._slots[slot])}
        slots = torch.tensor(active, device=self._optimizer.values.device)
        with torch.no_grad():
            limits = [run.job.optim.max_grad_norm or math.inf for run in runs.values()]
            norms = dict(zip(active, self._optimizer.clip(slots, limits).tolist(), strict=True))
        failures = []
        for slot, run in list(runs.items()):
            if reason := divergence(losses[slot], norms[slot], run.done + 1):
                failures.append(TrainFailure(run.job.id, reason))
                self._slots[slot] = None
                del runs[slot]
        if runs:
            optims = [run.job.optim for run in runs.values()]
            rates = [learning_rate(run.job.optim, run.done, run.steps) for run in runs.values()]
            slots = torch.tensor(list(runs), device=slots.device)
            with torch.no_grad():
                counts = [run.done + 1 for run in runs.values()]
                self._optimizer.step(slots, rates, counts, optims)
        self._optimizer.gradients.zero_()
        for slot, run in runs.items():
            run.done += 1
            run.losses.append(losses[slot])
            if run.job.dpo:
                run.margins.append(margins[slot])
        return failures

    def _save(self) -> None:
        optimizer = self._optimizer
        for slot, run in enumerate(self._slots):
            if run:
                state = {"step": run.done, "losses": run.losses, "margins": run.margins}
                for name in ("values", "first", "second"):
                    state[name] = getattr(optimizer, name)[slot].detach().clone()
                TrainingCheckpoints(run.job, self._say).save(state)


def _resumed(runs: Sequence[TrainingRun]) -> str:
    """What to say about runs that continue from a checkpoint."""
    if len(runs) == 1:
        (run,) = runs
        return f"training of {run.job.id} resumed at step {run.done} of {run.steps}"
    steps = [run.done for run in runs]
    return f"training of {len(runs)} users resumed at steps {min(steps)} to {max(steps)}"


def _parameters(
    layout: AdapterLayout, values: Tensor, gradients: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    """Parameters by layer that are views of `values`, their gradients views of `gradients`."""
    slopes = layout.views(gradients)
    parameters = {}
    for name, pair in layout.views(values).items():
        first, second = (matrix.detach().requires_grad_(True) for matrix in pair)
        first.grad, second.grad = slopes[name]
        parameters[name] = first, second
    return parameters
