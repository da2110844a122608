"""Adaptation: the second choice of a method. Whose weights answer, and how they were trained."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.core.prompt import Prompt
from lampbench.engine.protocol import (
    DPOSpec,
    Example,
    LoraSpec,
    OptimSpec,
    Preference,
    TrainJob,
    Weights,
)
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.negatives import LowestReward
from lampbench.plugin.recipe import Owner, Recipe

if TYPE_CHECKING:
    from lampbench.run.executor import Context


@dataclass(frozen=True)
class AdapterRecipe(Recipe):
    """A recipe whose artifact is a LoRA adapter; it says what to train, the engine trains.

    The optimiser is AdamW with linear warm-up and decay (paper, section 4.1).
    """

    learning_rate: float = hyper("peak learning rate", low=0.0)
    epochs: int = hyper("passes over the data", low=1)
    batch_size: int = hyper("examples a step", low=1)
    weight_decay: float = hyper("decoupled weight decay of AdamW", low=0.0)
    warmup_ratio: float = hyper("share of the steps with a rising rate", low=0.0, high=1.0)
    max_grad_norm: float = hyper("gradients are clipped to this norm", low=0.0)

    @abstractmethod
    def job(self, context: "Context", owner: Owner) -> TrainJob:
        """What to train for one owner."""

    @abstractmethod
    def weights(self, context: "Context", user: User) -> Weights:
        """The stack of adapters that answers for a user."""

    def own(self, context: "Context", owner: Owner) -> Weights:
        """This recipe's adapter alone."""
        return (context.artifact(self, owner) / "adapter",)

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

    def build(self, context: "Context", owners: Sequence[Owner]) -> Iterator[Owner]:
        """Train the adapters of all owners in one call of the engine."""
        yield from context.train(self, [(owner, self.job(context, owner)) for owner in owners])


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


@dataclass(frozen=True)
class TaskSFT(LoraRecipe):
    """TAM: one LoRA trained on the queries of all users who are not tested (Tan et al., 2024)."""

    name: ClassVar = "task_sft"
    section = "task_sft"
    version: ClassVar = 2  # 2: draws of the many-user engine
    scope: ClassVar = "task"
    sees_train_users = True

    def job(self, context: "Context", owner: Owner) -> TrainJob:
        """Every answered query of the task-training users is an example."""
        data = tuple(
            Example(task_prompt(context, user, query), query.reference)
            for user in context.dataset.train_users
            for query in user.queries
            if query.reference
        )
        return context.job(self, owner, data, self.lora())

    def weights(self, context: "Context", user: User) -> Weights:
        """The same for every user."""
        return self.own(context, None)


@dataclass(frozen=True)
class UserSFT(LoraRecipe):
    """OPPU: a LoRA per user on top of `start`, trained on the history (Tan et al., 2024)."""

    name: ClassVar = "user_sft"
    section = "user_sft"
    version: ClassVar = 2
    scope: ClassVar = "user"

    start: TaskSFT | None = None

    def base(self, context: "Context", user: User) -> Weights:
        """What the user's LoRA sits on."""
        return self.start.weights(context, user) if self.start else ()

    def job(self, context: "Context", owner: Owner) -> TrainJob:
        """Every record of the history is an example."""
        user = required(owner)
        data = tuple(
            Example(user_prompt(context, user, record), record.target) for record in user.history
        )
        return context.job(self, owner, data, self.lora(), frozen=self.base(context, user))

    def weights(self, context: "Context", user: User) -> Weights:
        """The user's LoRA on top of `start`'s."""
        return self.base(context, user) + self.own(context, user)


@dataclass(frozen=True)
class UserDPO(AdapterRecipe):
    """DPO that continues the user's LoRA (CoPe, section 3.3, equation 6).

    The positive is what the user wrote, the negative what `negatives` chose; the reference is
    what the user's LoRA sits on (TAM), as the equation has it, not the LoRA it starts from.
    """

    name: ClassVar = "user_dpo"
    section = "user_dpo"
    version: ClassVar = 2
    scope: ClassVar = "user"

    start: UserSFT = UserSFT()
    negatives: LowestReward = LowestReward()
    beta: float = hyper("weight of the KL term, equation 6", low=0.0)
    dropout: float = hyper("dropout on the LoRA's input", low=0.0, high=0.999)

    def job(self, context: "Context", owner: Owner) -> TrainJob:
        """One preference a record."""
        user = required(owner)
        rejected = self.negatives.texts(context, user)
        data = tuple(
            Preference(user_prompt(context, user, record), record.target, negative)
            for record, negative in zip(user.history, rejected, strict=True)
        )
        base = self.start.base(context, user)
        lora = LoraSpec(self.start.rank, self.start.alpha, self.dropout, self.start.targets)
        dpo = DPOSpec(self.beta, reference=base)
        (start,) = self.start.own(context, user)
        return context.job(self, owner, data, lora, frozen=base, start=start, dpo=dpo)

    def weights(self, context: "Context", user: User) -> Weights:
        """The preference-trained LoRA in the place of the one it continued."""
        return self.start.base(context, user) + self.own(context, user)


def required(owner: Owner) -> User:
    """The user of a per-user artifact."""
    assert owner is not None, "a per-user recipe is built for users"
    return owner


def task_prompt(context: "Context", user: User, query: Query) -> Prompt:
    """The prompt on which the task adapter trains: the one it is tested on."""
    raw = context.task.raw_input
    if context.fidelity.raw_task_input and raw is not None:
        return context.task.prompt(query.fields, template=raw)
    return context.prompt(user, query)


def user_prompt(context: "Context", user: User, record: Record) -> Prompt:
    """The prompt on which users' adapters train: the one they are tested on."""
    wording = context.task.reference_train_template
    if context.fidelity.train_wording and wording is not None:
        return context.task.prompt(record.fields, template=wording)
    return context.prompt(user, record)
