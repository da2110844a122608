"""A user's adapter assembled from layers of other users', without training (Per-Pcs)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import Dataset, Record, User
from lampbench.engine.capability import Capability, needs_of_training
from lampbench.engine.protocol import GateSpec, OptimSpec, PiecesSpec, SFTExample, TrainJob, Weights
from lampbench.plugin.adaptation import UserSFT, user_prompt
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.borrowing import Borrowing, another_user
from lampbench.plugin.context import Context, UserRecipe, WeightsSource
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.recipe_graph import adapters_of


@dataclass(frozen=True)
class PieceGates(AdapterRecipe, UserRecipe):
    """A gate for each layer of the LoRA that `lora` trained for a user: when it is to act.

    Per-Pcs (Tan et al., EMNLP 2024, section 3): the LoRA reads sigmoid(x . g) x, and the vectors g
    are trained on the user's history while the LoRA is frozen. Defaults are those of the authors'
    code, except that it trains for 200 steps.
    """

    name: ClassVar = "piece_gates"
    section = "gates"

    lora: AdapterRecipe = UserSFT()
    learning_rate: float = hyper("peak learning rate", default=2e-5, low=0.0)
    epochs: int = hyper("passes over the data", default=2, low=1)
    batch_size: int = hyper("examples per step", default=6, low=1)
    weight_decay: float = hyper("decoupled weight decay of AdamW", default=0.0, low=0.0)
    warmup_ratio: float = hyper(
        "share of the steps with a rising rate", default=0.0, low=0.0, high=1.0
    )
    max_grad_norm: float = hyper("gradients are clipped to this norm", default=0.3, low=0.0)

    def needs(self) -> frozenset[Capability]:
        """Training of gates on a LoRA."""
        return needs_of_training(GateSpec(), preferences=False)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Train all users' gates in one call of the engine."""
        yield from context.train_users(self, [(user, self.job(context, user)) for user in users])

    def job(self, context: Context, user: User) -> TrainJob:
        """Every record of the history is an example."""
        data = history_examples(context, user, user.history)
        frozen = context.weights(self.lora, user)
        return context.job(self, data, GateSpec(), self.optim(), user=user, frozen=frozen)

    def weights(self, context: Context, user: User) -> Weights:
        """The LoRA itself: gates say which pieces are taken, and act on nothing."""
        return context.weights(self.lora, user)


@dataclass(frozen=True)
class AssembledFromUsers(UserRecipe, Borrowing, WeightsSource):
    """A LoRA put together layer by layer from those of other users, the sharers.

    Per-Pcs (Tan et al., EMNLP 2024, section 3). In each layer the k pieces whose gates are nearest
    to what the model reads there while it goes through the user's history are added up, weighted
    by the softmax of their scores. The sharers are the users who follow in a random cycle. Defaults
    are those of the authors' code.
    """

    name: ClassVar = "assembled_from_users"
    section = "assembled"

    gates: PieceGates
    sharers: int = hyper("other users whose pieces may be chosen", default=50, low=1)
    k: int = hyper("pieces that are added up in a layer", default=3, low=1)
    records: int = hyper("latest records that choose the pieces", default=2000, low=1)
    batch_size: int = hyper("records that choose together", default=16, low=1)
    temperature: float = hyper("temperature of the weights' softmax", default=1.0, low=1e-6)

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The sharers: at most all other users."""
        found: list[User] = []
        following = another_user(dataset, seed, user) if user else None
        while user and following and following.id != user.id and len(found) < self.sharers:
            found.append(following)
            following = another_user(dataset, seed, following)
        return found

    def needs(self) -> frozenset[Capability]:
        """Choosing among gated pieces of LoRAs."""
        return frozenset({Capability.PIECES}) | adapters_of(self.gates)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Choose all users' pieces in one call of the engine."""
        yield from context.train_users(self, [(user, self.job(context, user)) for user in users])

    def job(self, context: Context, user: User) -> TrainJob:
        """The user's latest records choose among the sharers' pieces; no step is taken."""
        sharers = self.lenders(context.dataset, context.seed, user)
        loras = [context.weights(self.gates, sharer)[-1] for sharer in sharers]
        gates = [self.gates.own(context, sharer)[0] for sharer in sharers]
        pieces = tuple(zip(loras, gates, strict=True))
        data = history_examples(context, user, user.history[-self.records :])
        spec = PiecesSpec(pieces, self.k, self.temperature)
        no_steps = OptimSpec(0.0, 1, self.batch_size, 0.0, 0.0, 0.0)
        below = self._below(context, user)
        return context.job(self, data, spec, no_steps, user=user, frozen=below)

    def weights(self, context: Context, user: User) -> Weights:
        """The assembled LoRA on top of what the sharers' LoRAs are on top of."""
        return (*self._below(context, user), context.adapter(self, user))

    def _below(self, context: Context, user: User) -> Weights:
        return context.weights(self.gates, user)[:-1]


def history_examples(
    context: Context, user: User, records: Sequence[Record]
) -> tuple[SFTExample, ...]:
    """Each record as an example: the prompt on which users' adapters train, and the target."""
    return tuple(
        SFTExample(user_prompt(context, user, record), record.target) for record in records
    )
