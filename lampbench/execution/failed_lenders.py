"""Who cannot be answered because the training of another user, whose data they need, failed."""

from collections.abc import Sequence

from lampbench.core.dataset import User
from lampbench.execution.executor import Executor
from lampbench.execution.lenders import recipes_with_users
from lampbench.plugin.borrowing import Borrowing
from lampbench.plugin.context import Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.hyperparameter import Part, child_parts
from lampbench.record.manifest import LENDER
from lampbench.util.errors import LampbenchError

_NAMED = 8
"""How many users an error names."""


def leave_out_borrowers(
    executor: Executor, stage: str, parts: Sequence[Part], users: Sequence[User]
) -> None:
    """Leave out the users for whom `parts` need what failed users do not have.

    Raises:
        LampbenchError: nobody is left.
    """
    if not executor.failed_users:
        return
    for user in users:
        if user.id not in executor.failed_users and (lost := _failed(executor, parts, [user])):
            why = f"it needs {LENDER}{lost[0]}, who failed in "
            executor.leave_out(stage, user.id, why + executor.failed_users[lost[0]])


def require_lenders(executor: Executor, recipe: Recipe) -> None:
    """Refuse to make a task's artifact of all users' where some users failed.

    Raises:
        LampbenchError: there are failed users behind it; they are named.
    """
    if not (executor.failed_users and isinstance(recipe, TaskRecipe)):
        return
    if not isinstance(recipe, Borrowing):
        return
    inner = [child for _, child in child_parts(recipe)]
    lending = recipe.lenders(executor.dataset, executor.seed, None)
    if lost := _failed(executor, inner, lending):
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        raise LampbenchError(
            f"{recipe.section} of {executor.task.name} needs every user, and training failed for "
            f"{', '.join(lost[:_NAMED])}{more} ({lost[0]}: {executor.failed_users[lost[0]]}); "
            "lower the learning rate or leave these users out of the data"
        )


def _failed(executor: Executor, parts: Sequence[Part], users: Sequence[User]) -> list[str]:
    """The ids of failed users, in order, who lack an artifact behind some parts for `users`."""
    found: dict[str, None] = {}
    has, key = executor.cache.has, executor.keys.of
    needed = recipes_with_users(parts, users, executor.dataset, executor.seed)
    for recipe, owners in needed:
        for owner in owners if isinstance(recipe, UserRecipe) else []:
            failed = owner.id in executor.failed_users
            if failed and not has(recipe.section, key(recipe, owner)):
                found[owner.id] = None
    return list(found)
