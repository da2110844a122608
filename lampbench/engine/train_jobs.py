"""What an engine is asked to train or to add up, and what it reports."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lampbench.core.prompt import Prompt
from lampbench.engine.requests import Weights


@dataclass(frozen=True, slots=True)
class SFTExample:
    """One example of supervised fine-tuning; the loss is the mean over the response's tokens."""

    prompt: Prompt
    response: str

    @property
    def responses(self) -> tuple[str, ...]:
        """The texts that are trained on: the response."""
        return (self.response,)


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One example of DPO: what the user wrote, and a text that the user would not have written."""

    prompt: Prompt
    chosen: str
    rejected: str

    @property
    def responses(self) -> tuple[str, ...]:
        """The texts that are trained on: the chosen one, then the rejected one."""
        return self.chosen, self.rejected


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """Shape of a new adapter. `targets` are the names of linear layers of the decoder (q_proj)."""

    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoraSpec:
    """Shape of a new DoRA (Liu et al., 2024): a LoRA with a trained magnitude per output."""

    rank: int
    alpha: int
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PrefixSpec:
    """A new prefix (Li and Liang, 2021): keys and values of virtual tokens in every layer."""

    length: int


@dataclass(frozen=True, slots=True)
class SoftPromptSpec:
    """A new soft prompt (Lester et al., 2021): embeddings of virtual tokens before the prompt."""

    length: int


@dataclass(frozen=True, slots=True)
class IA3Spec:
    """A new (IA)3 (Liu et al., 2022): factors of the outputs of `targets`, and of the inputs of
    those among them that are in `feedforward`.
    """

    targets: tuple[str, ...]
    feedforward: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SteeringSpec:
    """A steering vector (Zhang et al., 2025): added to the output of one decoder layer.

    It is the mean over the job's preference pairs of the layer's output at the last token of
    `chosen` minus that at the last token of `rejected`, times `strength`. `depth` in [0, 1] says
    which layer: 0 is the first, 1 the last. It acts from the last token of the prompt on.
    """

    depth: float
    strength: float


@dataclass(frozen=True, slots=True)
class GateSpec:
    """New gates on the LoRA that is last in `frozen` (Per-Pcs, Tan et al., 2024).

    In each of the LoRA's layers a vector g as wide as the input x, zero at first: the LoRA reads
    sigmoid(x . g) x. The LoRA itself is not trained.
    """


@dataclass(frozen=True, slots=True)
class PiecesSpec:
    """A LoRA assembled layer by layer from `pieces`, (LoRA, its gates) each (Tan et al., 2024).

    The job's examples are read in batches of `optim.batch_size`, on top of `frozen`. In each layer
    the score of a piece is the mean, over the tokens that predict the responses and then over the
    examples, of LN(x) . LN(g) / sqrt(width), LN being layer normalisation without parameters. The
    `k` highest are added to the layer, weighted by softmax(score / temperature), before the next
    layer is read. The weights are averaged over the batches. What is saved is a plain LoRA, the
    exact sum.
    """

    pieces: tuple[tuple[Path, Path], ...]
    k: int
    temperature: float


AdapterSpec = (
    LoraSpec
    | DoraSpec
    | PrefixSpec
    | SoftPromptSpec
    | IA3Spec
    | SteeringSpec
    | GateSpec
    | PiecesSpec
)
"""What is trained. LoRA is served in batches; the others go through the reference engine."""


@dataclass(frozen=True, slots=True)
class OptimSpec:
    """AdamW with linear warm-up and linear decay to zero.

    `batch_size` counts examples, `warmup_ratio` is a share of all steps, and `max_grad_norm` bounds
    the norm of one adapter's gradient (0.0: no bound).
    """

    learning_rate: float
    epochs: int
    batch_size: int
    weight_decay: float
    warmup_ratio: float
    max_grad_norm: float


@dataclass(frozen=True, slots=True)
class DPOSpec:
    """Equation 6: -log sigmoid(beta (r(chosen) - r(rejected))), r measured against `reference`."""

    beta: float
    reference: Weights


@dataclass(frozen=True, slots=True)
class TrainJob:
    """Train one adapter on top of `frozen` and save it to `output` in PEFT's format.

    `start` continues an existing adapter (OPPU, then DPO) instead of initialising a new one. `dpo`
    is given where preference pairs are trained on. `seed` fixes the initial weights, the order
    of examples and the dropout of this job, whatever else is trained in the same call. An engine
    may keep checkpoints in the folder `scratch` and resume from those that a killed run left there.
    """

    id: str
    frozen: Weights
    data: tuple[SFTExample, ...] | tuple[PreferencePair, ...]
    adapter: AdapterSpec
    optim: OptimSpec
    seed: int
    output: Path
    scratch: Path
    start: Path | None = None
    dpo: DPOSpec | None = None

    @property
    def lora(self) -> LoraSpec:
        """The shape of the LoRA that is trained.

        Raises:
            TypeError: the job trains something else.
        """
        if not isinstance(self.adapter, LoraSpec):
            raise TypeError(f"job {self.id} trains a {type(self.adapter).__name__}, not a LoRA")
        return self.adapter


@dataclass(frozen=True, slots=True)
class CombineJob:
    """Add up LoRA adapters and save the sum to `output` in PEFT's format.

    `terms` are adapters with their factors. What is added are the changes to the model's weights,
    scale B A of each layer; a layer that an adapter does not have counts as no change.
    """

    terms: tuple[tuple[Path, float], ...]
    output: Path


@dataclass(frozen=True, slots=True)
class TrainResult:
    """Report of a finished job.

    Attributes:
        id: the job's id.
        steps: optimiser steps.
        tokens: tokens that went through the model.
        examples_shortened: examples that were shortened to fit into the context.
        losses: one per step.
        margins: for DPO the mean reward margin of each step, times beta, as trl logs it.
    """

    id: str
    steps: int
    tokens: int
    examples_shortened: int
    losses: tuple[float, ...]
    margins: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainFailure:
    """Report of a job that was given up because its loss or gradient became NaN or infinite.

    Nothing of it is saved, and the other jobs continue. `reason` is a sentence for the user.
    """

    id: str
    reason: str


StepHook = Callable[[str, int, int], None]
"""Called after each training step with (job id, steps done, steps in total)."""
