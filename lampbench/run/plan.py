"""What a run consists of, and what of it is already there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lampbench.core.dataset import User
from lampbench.engine.models import resolve
from lampbench.plugin.hyperparameter import Setting
from lampbench.plugin.method import Method
from lampbench.plugin.recipe import Owner, Recipe, ordered, parents
from lampbench.record.runs import run_path
from lampbench.run.executor import Context


@dataclass(frozen=True, slots=True)
class Stage:
    """One recipe of a run, for all its owners."""

    recipe: Recipe
    owners: tuple[Owner, ...]

    @property
    def name(self) -> str:
        """What progress and manifests call it."""
        return self.recipe.section

    def missing(self, context: Context) -> list[Owner]:
        """The owners without an artifact, as of now: an earlier run may just have made it."""
        made = self.made(context)
        left = [owner for owner in self.owners if owner not in made]
        return [owner for owner in left if owner is None or owner.id not in context.failed_users]

    def made(self, context: Context) -> list[Owner]:
        """The owners with an artifact."""
        has, key = context.cache.has, context.keys.of
        return [owner for owner in self.owners if has(self.name, key(self.recipe, owner))]

    @property
    def unit(self) -> str:
        """What is counted."""
        return "adapter" if self.recipe.scope == "task" else "users"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one run needs, in order, and where its record will stand."""

    context: Context
    method: Method
    settings: dict[str, Setting]
    overridden: dict[str, Setting]
    preset: str
    stages: tuple[Stage, ...]
    folder: Path

    @property
    def done(self) -> bool:
        """Whether the run is recorded already."""
        return (self.folder / "manifest.json").is_file()


def make_plan(
    context: Context,
    method: Method,
    settings: dict[str, Setting],
    overridden: dict[str, Setting],
    preset: str,
    results: Path,
) -> Plan:
    """Order the recipes behind a method.

    `settings` are all hyper-parameters of the method, `overridden` those the user set.
    """
    # What prompts are made from comes first: training may read it.
    recipes = ordered([method.prompting, *method.parts().values()])
    stages = [Stage(recipe, tuple(_owners(context, recipe, recipes))) for recipe in recipes]
    key = context.keys.run(method)
    model = resolve(context.model).name
    folder = run_path(results, context.task.name, model, method.name, key)
    return Plan(context, method, settings, overridden, preset, tuple(stages), folder)


def _owners(context: Context, recipe: Recipe, recipes: Sequence[Recipe]) -> list[Owner]:
    """The task, or every test user; training users too where training prompts need theirs."""
    if recipe.scope == "task":
        return [None]
    users: list[User] = list(context.dataset.test_users)
    trains = any(other.sees_train_users for other in recipes)
    if trains and recipe in parents(context.prompting):
        users += context.dataset.train_users
    return list(users)
