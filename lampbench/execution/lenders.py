"""Whose data the parts of a method work on: the users' own, or that of those they borrow from."""

from collections.abc import Iterator, Sequence

from lampbench.core.dataset import Dataset, User
from lampbench.execution.specification import Owner
from lampbench.plugin.borrowing import Borrowing
from lampbench.plugin.context import Recipe
from lampbench.plugin.hyperparameter import Part, child_parts


def lenders(part: Part, users: Sequence[User], dataset: Dataset, seed: int) -> list[User]:
    """The users whose data the parts inside `part` work on for `users`, each once, in order."""
    if not isinstance(part, Borrowing):
        return list(users)
    found = [one for user in users for one in part.lenders(dataset, seed, user)]
    return list({(one.id, one.fingerprint): one for one in found}.values())


def recipes_with_users(
    parts: Sequence[Part], users: Sequence[User], dataset: Dataset, seed: int
) -> Iterator[tuple[Recipe, list[User]]]:
    """Every recipe among and behind some parts, with the users for whom it is needed there."""
    for part in parts:
        if isinstance(part, Recipe):
            yield part, list(users)
        inner = [child for _, child in child_parts(part)]
        if inner:
            lending = lenders(part, users, dataset, seed)
            yield from recipes_with_users(inner, lending, dataset, seed)


def contributors(parts: Sequence[Part], owner: Owner, dataset: Dataset, seed: int) -> set[str]:
    """Ids of the users whose histories went into an artifact through borrowing, where `parts` are
    its recipe and, if that sees prompts, the prompting.

    Its owner is among them only through borrowing: nobody is where nothing is borrowed.
    """
    test_users = {user.id: user for user in dataset.test_users}
    found: set[str] = set()

    def visit(part: Part, users: Sequence[User]) -> None:
        lending = lenders(part, users, dataset, seed)
        if isinstance(part, Borrowing):
            if not users:  # one artifact for the whole task
                lending = list(part.lenders(dataset, seed, None))
            found.update(user.id for user in lending)
        for _, child in child_parts(part):
            visit(child, lending)

    for part in parts:
        visit(part, [owner] if isinstance(owner, User) else [])
    own = test_users.get(owner.id)
    if isinstance(owner, User) and own and own.fingerprint != owner.fingerprint:
        found.update(test_users)  # a history dealt out from all
    return found
