"""Cross-fitting: weights that are trained on half of a history, and judged by the other half.

The records of a history go to the two halves in turn, so that both cover all of its time. A method
that uses these parts sets `min_history` to 2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from lampbench.core.dataset import Dataset, User
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import TrainJob, Weights
from lampbench.plugin.adaptation import UserDPO, UserSFT
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.borrowing import Borrowing, with_shuffled_history
from lampbench.plugin.context import Context, UserRecipe, WeightsSource
from lampbench.plugin.recipe_graph import adapters_of
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class MeanOfHalves(UserRecipe, Borrowing, WeightsSource):
    """The mean of the two adapters that `recipe` trains on the halves of a user's history.

    The mean is that of the changes to the model's weights, B A scale.
    """

    name: ClassVar = "mean_of_halves"
    section = "mean_of_halves"

    recipe: AdapterRecipe

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The user twice, each time with one half of the history."""
        return halves(user) if user else []

    def needs(self) -> frozenset[Capability]:
        """Adding up adapters."""
        return frozenset({Capability.COMBINE}) | adapters_of(self.recipe)

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Add up each user's two adapters."""
        for user in users:
            both = halves(user)
            adapters = [context.weights(self.recipe, half)[-1] for half in both]
            context.combine(self, [(adapter, 0.5) for adapter in adapters], user)
            yield user

    def weights(self, context: Context, user: User) -> Weights:
        """The mean on top of what the two adapters are on top of."""
        one, _ = halves(user)
        below = context.weights(self.recipe, one)[:-1]
        return (*below, context.adapter(self, user))


@dataclass(frozen=True)
class OtherHalf(Borrowing, WeightsSource):
    """For a half of a user's history, the weights that `recipe` trains on the other half.

    The history is the user's own or, inside `OnShuffledHistories`, the one dealt to them.
    """

    name: ClassVar = "other_half"
    section = "other_half"

    recipe: AdapterRecipe

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The user with the other half."""
        return [other_half(dataset, seed, user)] if user else []

    def weights(self, context: Context, user: User) -> Weights:
        """Those trained on the other half."""
        return context.weights(self.recipe, other_half(context.dataset, context.seed, user))


@dataclass(frozen=True)
class HeldOutDPO(UserDPO):
    """DPO on records that the LoRA it continues has not been trained on.

    For a half of a history: its records are the positives, and the LoRA was trained on the other
    half. In CoPe the LoRA has been trained on the positives before.
    """

    name: ClassVar = "held_out_dpo"
    version: ClassVar = 1

    continued: OtherHalf = OtherHalf(UserSFT())

    def job(self, context: Context, user: User) -> TrainJob:
        """One preference pair per record of the half."""
        start = context.weights(self.continued, user)[-1]
        return replace(super().job(context, user), start=start)


def halves(user: User) -> tuple[User, User]:
    """A user with every second record of the history, from the first on and from the second on."""
    first, second = (replace(user, history=user.history[i::2], profile=None) for i in (0, 1))
    return first, second


def other_half(dataset: Dataset, seed: int, half: User) -> User:
    """For a user with one half of a history, the user with the other half.

    Raises:
        LampbenchError: it is a half neither of their own history nor of the one dealt to them.
    """
    test_users = [user for user in dataset.test_users if user.id == half.id]
    train_users = [user for user in dataset.train_users if user.id == half.id]
    for whole in (*test_users, *train_users):
        if other := _other_of(halves(whole), half):
            return other
    for user in test_users:
        if other := _other_of(halves(with_shuffled_history(dataset, seed, user)), half):
            return other
    raise LampbenchError(
        f"user {half.id} of {dataset.task}: HeldOutDPO and OtherHalf need one half of a history, "
        "the user's own or one dealt to them; use them inside MeanOfHalves"
    )


def _other_of(both: tuple[User, User], half: User) -> User | None:
    first, second = both
    if half.history == first.history:
        return second
    return first if half.history == second.history else None
