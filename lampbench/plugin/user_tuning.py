"""What is trained for a user: a LoRA, or another of PEFT's small changes to a model."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from lampbench.engine.protocol import (
    AdapterSpec,
    DoraSpec,
    IA3Spec,
    LoraSpec,
    PrefixSpec,
    SoftPromptSpec,
)
from lampbench.plugin.adaptation import UserFineTuning
from lampbench.plugin.hyperparameter import Part, hyper


@dataclass(frozen=True)
class Trainable(Part):
    """What is trained. The batched engine stacks `Lora`; the others go through the reference
    engine, one user at a time.
    """

    section = "trainable"

    @abstractmethod
    def spec(self) -> AdapterSpec:
        """What the engine is asked to train."""


@dataclass(frozen=True)
class Lora(Trainable):
    """Low-rank changes of linear layers (Hu et al., 2022)."""

    name: ClassVar = "lora"
    rank: int = hyper("LoRA rank", default=8, low=1)
    alpha: int = hyper("LoRA scale is alpha / rank", default=8, low=1)
    dropout: float = hyper("dropout on the LoRA's input", default=0.05, low=0.0, high=0.999)
    targets: tuple[str, ...] = hyper("linear layers that get a LoRA", default=("q_proj", "v_proj"))

    def spec(self) -> AdapterSpec:
        """The LoRA's shape."""
        return LoraSpec(self.rank, self.alpha, self.dropout, self.targets)


@dataclass(frozen=True)
class Dora(Trainable):
    """A LoRA and the magnitude of each output (Liu et al., 2024), without dropout."""

    name: ClassVar = "dora"
    rank: int = hyper("LoRA rank", default=8, low=1)
    alpha: int = hyper("LoRA scale is alpha / rank", default=8, low=1)
    targets: tuple[str, ...] = hyper("linear layers that get a DoRA", default=("q_proj", "v_proj"))

    def spec(self) -> AdapterSpec:
        """The DoRA's shape."""
        return DoraSpec(self.rank, self.alpha, self.targets)


@dataclass(frozen=True)
class Prefix(Trainable):
    """Keys and values of virtual tokens in every layer (Li and Liang, 2021)."""

    name: ClassVar = "prefix"
    length: int = hyper("virtual tokens", default=10, low=1)

    def spec(self) -> AdapterSpec:
        """The prefix's length."""
        return PrefixSpec(self.length)


@dataclass(frozen=True)
class SoftPrompt(Trainable):
    """Embeddings of virtual tokens before the prompt (Lester et al., 2021)."""

    name: ClassVar = "soft_prompt"
    length: int = hyper("virtual tokens", default=10, low=1)

    def spec(self) -> AdapterSpec:
        """The prompt's length."""
        return SoftPromptSpec(self.length)


@dataclass(frozen=True)
class IA3(Trainable):
    """Factors of keys, values and feed-forward inputs (Liu et al., 2022)."""

    name: ClassVar = "ia3"
    targets: tuple[str, ...] = hyper(
        "linear layers that get factors", default=("k_proj", "v_proj", "down_proj")
    )
    feedforward: tuple[str, ...] = hyper(
        "those of them whose inputs are scaled, not their outputs", default=("down_proj",)
    )

    def spec(self) -> AdapterSpec:
        """The layers that get factors."""
        return IA3Spec(self.targets, self.feedforward)


@dataclass(frozen=True)
class UserTuning(UserFineTuning):
    """Fine-tuning per user as in OPPU, of whatever `what` names, on top of `start`."""

    name: ClassVar = "user_tuning"
    section = "user_tuning"

    what: Trainable = field(default_factory=Prefix)
    learning_rate: float = hyper("peak learning rate", default=1e-2, low=0.0)
    epochs: int = hyper("passes over the data", default=2, low=1)
    batch_size: int = hyper("examples per step", default=4, low=1)
    weight_decay: float = hyper("decoupled weight decay of AdamW", default=0.01, low=0.0)
    warmup_ratio: float = hyper(
        "share of the steps with a rising rate", default=0.1, low=0.0, high=1.0
    )
    max_grad_norm: float = hyper("gradients are clipped to this norm", default=0.3, low=0.0)

    def adapter(self) -> AdapterSpec:
        """Its shape."""
        return self.what.spec()
