"""The graph of recipes behind a method: what needs what, and in which order to build."""

from collections.abc import Sequence

from lampbench.engine.capability import ADAPTERS, Capability
from lampbench.plugin.context import Recipe
from lampbench.plugin.hyperparameter import Part, child_parts


def parents(part: Part) -> list[Recipe]:
    """The recipes that a part needs directly, also through parts that are not recipes."""
    found: list[Recipe] = []
    for _, child in child_parts(part):
        found += [child] if isinstance(child, Recipe) else parents(child)
    return found


def build_order(parts: Sequence[Part]) -> list[Recipe]:
    """All recipes behind some parts, each once, parents before children."""
    order: list[Recipe] = []

    def visit(recipe: Recipe) -> None:
        for parent in parents(recipe):
            visit(parent)
        if recipe not in order:
            order.append(recipe)

    for part in parts:
        for recipe in [part] if isinstance(part, Recipe) else parents(part):
            visit(recipe)
    return order


def adapters_of(*parts: Part | None) -> frozenset[Capability]:
    """The kinds of adapters that the recipes behind some parts make, as far as they say it; of what
    gates assemble, the LoRAs alone are used.
    """
    recipes = build_order([part for part in parts if part is not None])
    used = frozenset(ADAPTERS.values()) - {Capability.GATES, Capability.PIECES}
    return frozenset().union(*((recipe.needs() or frozenset()) & used for recipe in recipes))
