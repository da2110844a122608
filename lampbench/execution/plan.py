"""What a run consists of, and what of it has been made already."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from lampbench.core.dataset import User
from lampbench.data.users_on_disk import in_memory
from lampbench.execution.executor import Executor
from lampbench.execution.lenders import recipes_with_users
from lampbench.execution.shard import ALL_USERS, Shard
from lampbench.execution.specification import Owner, RunSpecification, WholeTask
from lampbench.plugin.context import Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.hyperparameter import Setting
from lampbench.plugin.method import Method
from lampbench.plugin.recipe_graph import build_order, parents
from lampbench.record.manifest import MANIFEST
from lampbench.record.paths import run_path
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, slots=True)
class Stage:
    """One recipe of a run, for all its owners."""

    recipe: Recipe
    owners: tuple[Owner, ...]

    @property
    def name(self) -> str:
        """What progress and manifests call it."""
        return self.recipe.section

    @property
    def of_task(self) -> bool:
        """Whether it makes one artifact for the whole task."""
        return isinstance(self.recipe, TaskRecipe)

    def part(self, shard: Shard) -> "Stage":
        """The stage for the owners in a shard; a task's artifact is in every shard."""
        if self.of_task or shard == ALL_USERS:
            return self
        return Stage(self.recipe, tuple(owner for owner in self.owners if owner.id in shard))

    def missing(self, executor: Executor) -> list[Owner]:
        """The owners without an artifact at this moment: an earlier run may just have made it."""
        has, key = executor.cache.has, executor.keys.of
        return [
            owner
            for owner in self.owners
            if owner.id not in executor.failed_users and not has(self.name, key(self.recipe, owner))
        ]

    def to_make(self, executor: Executor) -> list[Owner]:
        """As `missing`, for plans: nothing is fetched from a remote store, or removed there."""
        may_have, key = executor.cache.may_have, executor.keys.of
        return [one for one in self.owners if not may_have(self.name, key(self.recipe, one))]

    def to_fetch(self, executor: Executor) -> list[Owner]:
        """The owners whose artifact is in a remote store and not on this machine."""
        cache, key = executor.cache, executor.keys.of
        if cache.remote is None:
            return []
        found = ((one, key(self.recipe, one)) for one in self.owners)
        return [
            one
            for one, name in found
            if not cache.is_here(self.name, name) and cache.remote.may_have(self.name, name)
        ]

    def made(self, executor: Executor) -> list[Owner]:
        """The owners with an artifact."""
        has, key = executor.cache.has, executor.keys.of
        return [owner for owner in self.owners if has(self.name, key(self.recipe, owner))]

    @property
    def unit(self) -> str:
        """What is counted."""
        return "adapter" if self.of_task else "users"


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """Everything that one run needs, in order, and where it will be recorded.

    `settings` are all hyper-parameters of the method, `overridden` those that the user set, and
    `plugins` what stands for the code of method and task where these are plugins.
    """

    executor: Executor
    settings: dict[str, Setting]
    overridden: dict[str, Setting]
    preset: str
    stages: tuple[Stage, ...]
    folder: Path
    plugins: dict[str, str]

    @property
    def spec(self) -> RunSpecification:
        """What the run is."""
        return self.executor.spec

    @property
    def method(self) -> Method:
        """The method, with every hyper-parameter set."""
        return self.spec.method

    @property
    def done(self) -> bool:
        """Whether the run is recorded already."""
        return (self.folder / MANIFEST).is_file()

    @property
    def title(self) -> str:
        """What progress calls the run."""
        name = f"{self.method.name} {self.spec.task.name}"
        most = self.spec.dataset.max_history
        return f"{name} (max-history {most})" if most else name

    def __repr__(self) -> str:
        spec = self.spec
        state = "recorded" if self.done else "to be recorded"
        most = spec.dataset.max_history
        history = f"max-history {most}, " if most else ""
        return (
            f"<Plan: {self.method.name} on {spec.task.name}, model {spec.model}, seed {spec.seed}, "
            f"{history}{state} in {self.folder}>"
        )

    def _repr_html_(self) -> str:
        """The stages, and how many of their artifacts are made."""
        rows = [
            (stage.name, len(stage.owners), len(stage.made(self.executor))) for stage in self.stages
        ]
        cells = "".join(
            f"<tr><td>{escape(name)}</td><td>{count}</td><td>{made}</td></tr>"
            for name, count, made in rows
        )
        head = "<tr><th>stage</th><th>artifacts</th><th>made</th></tr>"
        table = f"<table>{head}{cells}</table>" if rows else "<p>nothing is trained</p>"
        return f"<p>{escape(repr(self)[1:-1])}</p>{table}"


def make_plan(
    executor: Executor,
    settings: dict[str, Setting],
    overridden: dict[str, Setting],
    preset: str,
    results: Path,
) -> Plan:
    """Order the recipes behind a method and find the folder of its record.

    Raises:
        LampbenchError: prompts need an artifact that itself needs the prompts, or the method trains
            on past records, and the task's are no examples, or it needs more of them than a user
            has.
    """
    spec = executor.spec
    _check_histories(spec)
    for recipe in build_order([spec.method.prompting]):
        if recipe.uses_prompting:
            kind = type(recipe).__name__
            raise LampbenchError(
                f"method {spec.method.name}: the prompts need {kind}, and {kind} needs the "
                f"prompts: set uses_prompting = False on {kind}"
            )
    # What prompts are made from comes first: training may read it.
    recipes = build_order([spec.method.prompting, *spec.method.parts().values()])
    _check_trainable(spec, recipes)
    stages = make_stages(spec, spec.dataset.test_users)
    model = executor.model_spec.name
    folder = run_path(results, spec.task.name, model, spec.method.name, executor.keys.run())
    code = executor.keys.plugins()
    return Plan(executor, settings, overridden, preset, tuple(stages), folder, code)


def _check_histories(spec: RunSpecification) -> None:
    """Refuse test users with fewer past records than the method can work on.

    Raises:
        LampbenchError: there is one; the first is named.
    """
    needed, most = spec.method.min_history, spec.dataset.max_history
    if most is not None and most < needed:
        remedy = f"keep more by --max-history {needed}"
    else:
        remedy = f"leave such users out by --min-history {needed}"
    for user in spec.dataset.test_users:
        if (records := len(user.history)) < needed:
            raise LampbenchError(
                f"{spec.dataset.source}: user {user.id} of {spec.task.name} has {records} past "
                f"{'record' if records == 1 else 'records'} and {spec.method.name} needs {needed}; "
                f"{remedy}"
            )


def make_stages(spec: RunSpecification, users: Sequence[User]) -> list[Stage]:
    """The stages behind the answers for some test users, in order, each with the owners needed."""
    recipes = build_order([spec.method.prompting, *spec.method.parts().values()])
    if any(isinstance(recipe, UserRecipe) for recipe in recipes):
        users = in_memory(users)  # the stages keep them
    needed = _users_by_recipe(spec, recipes, users)
    return [Stage(recipe, tuple(_owners(spec, recipe, recipes, needed))) for recipe in recipes]


def _check_trainable(spec: RunSpecification, recipes: Sequence[Recipe]) -> None:
    """Refuse to train on past records that are no examples of the task, before anything is made.

    Raises:
        LampbenchError: a recipe makes something of the prompts of a user's records, and these
            have none.
    """
    if spec.task.records_are_examples:
        return
    for recipe in recipes:
        if isinstance(recipe, UserRecipe) and recipe.uses_prompting:
            raise LampbenchError(
                f"{spec.method.name} cannot run on {spec.task.name}: {recipe.section} trains on "
                "or samples from past records, and those of this task have no input and answer; "
                "choose a method that quotes them or leaves them out"
            )


def _users_by_recipe(
    spec: RunSpecification, recipes: Sequence[Recipe], users: Sequence[User]
) -> list[dict[tuple[str, str], User]]:
    """For each recipe the users whose artifacts are needed: the given ones, or their lenders."""
    needed: list[dict[tuple[str, str], User]] = [{} for _ in recipes]
    method, dataset = spec.method, spec.dataset
    parts = [method.prompting, *method.parts().values()]
    for recipe, owners in recipes_with_users(parts, users, dataset, spec.seed):
        needed[recipes.index(recipe)] |= {(owner.id, owner.fingerprint): owner for owner in owners}
    return needed


def _owners(
    spec: RunSpecification,
    recipe: Recipe,
    recipes: Sequence[Recipe],
    needed: Sequence[dict[tuple[str, str], User]],
) -> Sequence[Owner]:
    """The task, or its users; training users too where training prompts need theirs."""
    if isinstance(recipe, TaskRecipe):
        return [WholeTask(spec.task.name)]
    users = list(needed[recipes.index(recipe)].values())
    trains = any(other.sees_train_users for other in recipes)
    if trains and recipe in parents(spec.method.prompting):
        users += spec.dataset.train_users
    return users
