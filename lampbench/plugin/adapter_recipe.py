"""Recipes whose artifacts are LoRA adapters: what they share."""

from dataclasses import dataclass

from lampbench.core.dataset import User
from lampbench.engine.protocol import LoraSpec, OptimSpec, Weights
from lampbench.plugin.context import Context, Recipe, WeightsSource
from lampbench.plugin.hyperparameter import hyper


@dataclass(frozen=True)
class AdapterRecipe(Recipe, WeightsSource):
    """A recipe that says what to train; the engine trains.

    The optimiser is AdamW with linear warm-up and decay (paper, section 4.1).
    """

    learning_rate: float = hyper("peak learning rate", low=0.0)
    epochs: int = hyper("passes over the data", low=1)
    batch_size: int = hyper("examples per step", low=1)
    weight_decay: float = hyper("decoupled weight decay of AdamW", low=0.0)
    warmup_ratio: float = hyper("share of the steps with a rising rate", low=0.0, high=1.0)
    max_grad_norm: float = hyper("gradients are clipped to this norm", low=0.0)

    def own(self, context: Context, user: User | None = None) -> Weights:
        """This recipe's adapter alone."""
        return (context.adapter(self, user),)

    def optim(self) -> OptimSpec:
        """The optimiser's settings."""
        return OptimSpec(
            self.learning_rate,
            self.epochs,
            self.batch_size,
            self.weight_decay,
            self.warmup_ratio,
            self.max_grad_norm,
        )


@dataclass(frozen=True)
class LoraRecipe(AdapterRecipe):
    """Supervised fine-tuning of a new LoRA: mean cross-entropy of the response's tokens."""

    rank: int = hyper("LoRA rank", low=1)
    alpha: int = hyper("LoRA scale is alpha / rank", low=1)
    dropout: float = hyper("dropout on the LoRA's input", low=0.0, high=0.999)
    targets: tuple[str, ...] = hyper("linear layers that get a LoRA")

    def lora(self) -> LoraSpec:
        """The adapter's shape."""
        return LoraSpec(self.rank, self.alpha, self.dropout, self.targets)
