"""A training job on its way: its encoded examples, and what it has computed so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lampbench.engine.batched.prompt_tree import PromptTree
from lampbench.engine.lora_init import LoraMatrices
from lampbench.engine.protocol import TrainJob, TrainResult
from lampbench.engine.training_schedule import total_steps


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """An encoded example: a prompt with its response, for DPO the chosen and the rejected one.

    `reference` are the sums of the reference model's log-probabilities (chosen, rejected), in nats.
    """

    tree: PromptTree
    reference: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True, eq=False)
class TrainingRun:
    """One job: where its adapter starts, its examples, and its results so far.

    Attributes:
        job: the job.
        examples: its data, encoded.
        start: the adapter before the first step.
        shortened: examples that were shortened to fit into the context.
        done: optimiser steps done.
        losses: one per step done.
        margins: for DPO, one per step done.
        adapter: the trained adapter, when the run has ended.
    """

    job: TrainJob
    examples: Sequence[TrainingExample]
    start: LoraMatrices
    shortened: int = 0
    done: int = 0
    losses: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    adapter: LoraMatrices = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Optimiser steps in total."""
        return total_steps(self.job.optim, len(self.examples))

    @property
    def result(self) -> TrainResult:
        """The report of the finished job."""
        passes = self.job.optim.epochs + (self.job.dpo is not None)
        tokens = passes * sum(example.tree.tokens for example in self.examples)
        losses, margins = tuple(self.losses), tuple(self.margins)
        return TrainResult(self.job.id, self.steps, tokens, self.shortened, losses, margins)
