"""Adaptation, the second choice of a method: whose weights answer, and how they are trained."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.core.prompt import Prompt
from lampbench.engine.capability import Capability, needs_of_training
from lampbench.engine.protocol import (
    AdapterSpec,
    DPOSpec,
    LoraSpec,
    PreferencePair,
    SFTExample,
    TrainJob,
    Weights,
)
from lampbench.plugin.adapter_recipe import AdapterRecipe, LoraRecipe
from lampbench.plugin.context import Context, TaskRecipe, UserRecipe
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.negatives import LowestReward


@dataclass(frozen=True)
class TaskSFT(LoraRecipe, TaskRecipe):
    """TAM: one LoRA trained on the queries of all users who are not tested (Tan et al., 2024)."""

    name: ClassVar = "task_sft"
    section = "task_sft"
    version: ClassVar = 3  # 2: random draws of the batched engine; 3: of a counter
    sees_train_users = True

    def needs(self) -> frozenset[Capability]:
        """Fine-tuning of a LoRA."""
        return needs_of_training(self.lora(), preferences=False)

    def build(self, context: Context) -> None:
        """Train on every answered query of the task-training users."""
        data = tuple(
            SFTExample(task_prompt(context, user, query), query.reference)
            for user in context.dataset.train_users
            for query in user.queries
            if query.reference
        )
        context.train(self, context.job(self, data, self.lora(), self.optim()))

    def weights(self, context: Context, user: User) -> Weights:
        """The same for every user."""
        return self.own(context)


@dataclass(frozen=True)
class UserFineTuning(AdapterRecipe, UserRecipe):
    """Supervised fine-tuning per user on the history, on top of `start`."""

    start: TaskSFT | None = None

    @abstractmethod
    def adapter(self) -> AdapterSpec:
        """What is trained."""

    def needs(self) -> frozenset[Capability]:
        """Fine-tuning of the adapter."""
        return needs_of_training(self.adapter(), preferences=False)

    def base(self, context: Context, user: User) -> Weights:
        """The adapters below the user's own."""
        return context.weights(self.start, user)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Train all users' adapters in one call of the engine."""
        yield from context.train_users(self, [(user, self.job(context, user)) for user in users])

    def job(self, context: Context, user: User) -> TrainJob:
        """Every record of the history is an example."""
        data = tuple(
            SFTExample(user_prompt(context, user, record), record.target) for record in user.history
        )
        base = self.base(context, user)
        return context.job(self, data, self.adapter(), self.optim(), user=user, frozen=base)

    def weights(self, context: Context, user: User) -> Weights:
        """The user's own on top of `start`'s."""
        return self.base(context, user) + self.own(context, user)


@dataclass(frozen=True)
class UserSFT(LoraRecipe, UserFineTuning):
    """OPPU: a LoRA per user on top of `start`, trained on the history (Tan et al., 2024)."""

    name: ClassVar = "user_sft"
    section = "user_sft"
    version: ClassVar = 3

    def adapter(self) -> LoraSpec:
        """The LoRA's shape."""
        return self.lora()


@dataclass(frozen=True)
class UserDPO(AdapterRecipe, UserRecipe):
    """DPO that continues the user's LoRA (CoPe, section 3.3, equation 6).

    The positive is what the user wrote, the negative what `negatives` chose; the reference is
    the model below the user's LoRA (TAM), as in the equation, not the LoRA it starts from.
    """

    name: ClassVar = "user_dpo"
    section = "user_dpo"
    version: ClassVar = 3

    start: UserSFT = UserSFT()
    negatives: LowestReward = LowestReward()
    beta: float = hyper("weight of the KL term, equation 6", low=0.0)
    dropout: float = hyper("dropout on the LoRA's input", low=0.0, high=0.999)

    def needs(self) -> frozenset[Capability]:
        """DPO of a LoRA."""
        return needs_of_training(self._lora(), preferences=True)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Train all users' adapters in one call of the engine."""
        yield from context.train_users(self, [(user, self.job(context, user)) for user in users])

    def job(self, context: Context, user: User) -> TrainJob:
        """One preference pair per record."""
        rejected = self.negatives.texts(context, user)
        data = tuple(
            PreferencePair(user_prompt(context, user, record), record.target, negative)
            for record, negative in zip(user.history, rejected, strict=True)
        )
        base = self.start.base(context, user)
        dpo = DPOSpec(self.beta, reference=base)
        (start,) = self.start.own(context, user)
        return context.job(
            self, data, self._lora(), self.optim(), user=user, frozen=base, start=start, dpo=dpo
        )

    def _lora(self) -> LoraSpec:
        """The shape of the LoRA that is continued."""
        return LoraSpec(self.start.rank, self.start.alpha, self.dropout, self.start.targets)

    def weights(self, context: Context, user: User) -> Weights:
        """The preference-trained LoRA instead of the one it continued."""
        return self.start.base(context, user) + self.own(context, user)


def task_prompt(context: Context, user: User, query: Query) -> Prompt:
    """The prompt on which the task adapter trains: the same as in the test."""
    raw = context.task.raw_input
    if context.fidelity.raw_task_input and raw is not None:
        return context.task.prompt(query.fields, template=raw)
    return context.prompt(user, query)


def user_prompt(context: Context, user: User, record: Record) -> Prompt:
    """The prompt on which users' adapters train: the same as in the test."""
    wording = context.task.reference_train_template
    if context.fidelity.train_wording and wording is not None:
        return context.task.prompt(record.fields, template=wording)
    return context.prompt(user, record)
