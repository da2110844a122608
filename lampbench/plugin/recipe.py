"""Recipes: declarations of expensive things. Their parents are recipes, so they form a graph."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from lampbench.core.dataset import User
from lampbench.plugin.hyperparameter import Part, child_parts

if TYPE_CHECKING:
    from lampbench.run.executor import Context

Owner = User | None
"""Whose artifact it is: a user's, or (None) the task's."""


@dataclass(frozen=True)
class Recipe(Part):
    """How to make one kind of artifact, for the task or for each user.

    `scope` says whose it is; `sees_train_users` whether the task-training users' data goes into
    it (it then depends on their fingerprint); `uses_prompting` whether the method's prompts do.
    """

    scope: ClassVar[Literal["task", "user"]]
    sees_train_users: ClassVar[bool] = False
    uses_prompting: ClassVar[bool] = True

    @abstractmethod
    def build(self, context: "Context", owners: Sequence[Owner]) -> Iterator[Owner]:
        """Make the artifacts of all `owners` (one pass, so that users can share batches).

        Yields each owner as soon as their artifact is in the store.
        """

    def model_name(self, run_model: str) -> str:
        """The model that makes this artifact; the run's own unless a recipe says otherwise."""
        return run_model


def parents(part: Part) -> list[Recipe]:
    """The recipes a part directly needs, looking through parts that are no recipes."""
    found: list[Recipe] = []
    for _, child in child_parts(part):
        found += [child] if isinstance(child, Recipe) else parents(child)
    return found


def ordered(parts: Sequence[Part]) -> list[Recipe]:
    """All recipes behind some parts, each once, parents before children."""
    order: list[Recipe] = []

    def visit(recipe: Recipe) -> None:
        for parent in parents(recipe):
            visit(parent)
        if recipe not in order:
            order.append(recipe)

    for part in parts:
        if isinstance(part, Recipe):
            visit(part)
        else:
            for recipe in parents(part):
                visit(recipe)
    return order
