"""Whose data a part works on: another user's, everybody's, or histories dealt out anew.

How weights are trained is a recipe; whose weights answer is a part around it. Keys contain the data
that went in: the histories of the lenders, not only that of the user who is answered.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.prompt import Prompt
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import Weights
from lampbench.plugin.adapter_recipe import AdapterRecipe
from lampbench.plugin.context import Context, TaskRecipe, WeightsSource
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.prompting import Plain, Prompting
from lampbench.plugin.recipe_graph import adapters_of
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest


class Borrowing(Part):
    """A part whose inner parts work on the data of `lenders` and not on the user's own."""

    @abstractmethod
    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The users whose data the inner parts work on for `user`; None is the whole task.

        They depend on nothing else, and not on the order of the dataset's users.
        """


@dataclass(frozen=True)
class AnotherUsers(Borrowing, WeightsSource):
    """The weights that `recipe` trained for another user: a control for what is personal in them.

    Users form a random cycle, so that nobody answers with their own weights and everybody's are
    used once (a derangement).
    """

    name: ClassVar = "another_users"
    section = "another_users"

    recipe: AdapterRecipe

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The next user in the cycle."""
        return [another_user(dataset, seed, user)] if user else []

    def weights(self, context: Context, user: User) -> Weights:
        """The other user's."""
        return context.weights(self.recipe, another_user(context.dataset, context.seed, user))


@dataclass(frozen=True)
class OnShuffledHistories(Borrowing, WeightsSource):
    """The weights that `recipe` trains on histories shuffled among the users.

    All records of the test users are dealt out at random; a user gets as many as they wrote. What
    is left of a gain over the task's adapter comes from training on, not from the person.
    """

    name: ClassVar = "on_shuffled_histories"
    section = "on_shuffled_histories"

    recipe: AdapterRecipe

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The user with the history that was dealt to them."""
        return [with_shuffled_history(dataset, seed, user)] if user else []

    def weights(self, context: Context, user: User) -> Weights:
        """Those trained on the dealt history."""
        dealt = with_shuffled_history(context.dataset, context.seed, user)
        return context.weights(self.recipe, dealt)


@dataclass(frozen=True)
class MeanOfUsers(TaskRecipe, Borrowing, WeightsSource):
    """The mean of the adapters that `recipe` trained for all test users, in place of each.

    The mean is that of the changes to the model's weights, B A scale, and exact: the rank of the
    result is the sum of the ranks, or that of the layer where it is lower.
    """

    name: ClassVar = "mean_of_users"
    section = "mean_of_users"

    recipe: AdapterRecipe

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """All test users, by id."""
        return sorted(dataset.test_users, key=lambda one: one.id)

    def needs(self) -> frozenset[Capability]:
        """Adding up adapters."""
        return frozenset({Capability.COMBINE}) | adapters_of(self.recipe)

    def build(self, context: Context) -> None:
        """Add up the users' last adapters."""
        users = self.lenders(context.dataset, context.seed, None)
        adapters = [context.weights(self.recipe, user)[-1] for user in users]
        context.combine(self, [(adapter, 1 / len(adapters)) for adapter in adapters])

    def weights(self, context: Context, user: User) -> Weights:
        """The mean on top of what the user's own adapter is on top of."""
        below = context.weights(self.recipe, user)[:-1]
        return (*below, context.adapter(self))


@dataclass(frozen=True)
class AnotherUsersPrompt(Prompting, Borrowing):
    """The prompt that `prompting` writes for another user: their records, their profile.

    Of the records that the prompt quotes none is the user's own, so that none is recorded.
    """

    name: ClassVar = "another_users_prompt"

    prompting: Prompting = field(default_factory=Plain)

    def lenders(self, dataset: Dataset, seed: int, user: User | None) -> Sequence[User]:
        """The next user in the cycle."""
        return [another_user(dataset, seed, user)] if user else []

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """The other user's prompt for the user's item."""
        other = another_user(context.dataset, context.seed, user)
        return self.prompting.render(context, other, item)


def another_user(dataset: Dataset, seed: int, user: User) -> User:
    """The user who comes after `user` in a random cycle of the test users, or, for a training user,
    of the training users. The cycle depends on their ids and on `seed` alone.

    Raises:
        LampbenchError: there is no other user.
    """
    following: dict[str, User] = _remembered(
        dataset, ("another user", seed), lambda: _cycles(dataset, seed)
    )
    other = following[user.id]
    if other.id == user.id:
        raise LampbenchError(
            f"{dataset.source}: user {user.id} of {dataset.task} is the only one, and another "
            "user's data is asked for: choose data with at least two test users"
        )
    return other


def with_shuffled_history(dataset: Dataset, seed: int, user: User) -> User:
    """A test user with the history that was dealt to them, records named after who wrote them."""
    dealt: dict[str, User] = _remembered(
        dataset, ("shuffled histories", seed), lambda: _dealt(dataset, seed)
    )
    return dealt[user.id]


def _cycles(dataset: Dataset, seed: int) -> dict[str, User]:
    following: dict[str, User] = {}
    for users in (dataset.train_users, dataset.test_users):
        order = sorted(users, key=lambda one: digest([seed, "another user", one.id]))
        following |= {one.id: order[(i + 1) % len(order)] for i, one in enumerate(order)}
    return following


def _dealt(dataset: Dataset, seed: int) -> dict[str, User]:
    users = sorted(dataset.test_users, key=lambda one: one.id)
    records = [
        replace(record, id=f"{user.id} {record.id}") for user in users for record in user.history
    ]
    shuffled = iter(sorted(records, key=lambda one: digest([seed, "shuffled histories", one.id])))
    return {
        user.id: replace(user, history=tuple(next(shuffled) for _ in user.history), profile=None)
        for user in users
    }


T = TypeVar("T")


def _remembered(dataset: Dataset, name: Any, make: Callable[[], T]) -> T:
    """What was made of a dataset before: it never changes, and all its users ask in turn."""
    kept: dict[Any, T] = vars(dataset).setdefault("_borrowing", {})
    if name not in kept:
        kept[name] = make()
    return kept[name]
