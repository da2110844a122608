"""Keys of artifacts and runs: the digest of all that determines them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from lampbench.core.dataset import User, dates_of
from lampbench.engine.capability import EVERYTHING, Capability
from lampbench.execution.specification import Owner, RunSpecification, WholeTask
from lampbench.plugin.added_fields import keyed_parts
from lampbench.plugin.borrowing import Borrowing
from lampbench.plugin.context import Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.hyperparameter import Part, child_parts, hyper_fields
from lampbench.plugin.identity import (
    PLUGIN,
    code_identity,
    identity,
    instance_state,
    own_identity,
)
from lampbench.plugin.method import Method
from lampbench.plugin.metric import Metric
from lampbench.plugin.prompting import Plain
from lampbench.plugin.recipe_graph import build_order
from lampbench.registry import Registry
from lampbench.util.hashing import digest


class ModelIdentities(Protocol):
    """Knows what identifies a model (weights, precision, chat template) and the engine that runs
    it, without loading either.
    """

    def identity(
        self, model: str, engine: str | None = None, needed: frozenset[Capability] = frozenset()
    ) -> Any:
        """JSON value that differs when the model's answers to work with these needs may differ."""
        ...


KnownKeys = dict[tuple[str, str], str]
"""Keys by what identifies recipe and prompting (equal parts may not: 0 == 0.0), and the owner."""

_PLAIN = Plain()


@dataclass
class Keys:
    """The keys of one run and of the artifacts behind it.

    Two runs get the same key for an artifact exactly when the same code, settings, parents, data,
    model and seed make it, whatever the method is called that asks for it. Runs that differ in the
    method alone may share `known`, so that each key is computed once. `engine_of` names the engine
    that builds a recipe's artifacts, or with None answers; None is the run's own.
    """

    spec: RunSpecification
    models: ModelIdentities
    known: KnownKeys = field(default_factory=dict)
    metric: Callable[[str], Metric] = field(default_factory=lambda: Registry().metric)
    engine_of: Callable[[Recipe | None], str | None] = lambda recipe: None
    _fixed: dict[int, tuple[Part, dict[str, Any], list[tuple[str, Part]]]] = field(
        default_factory=dict
    )
    _names: dict[int, tuple[Recipe, str]] = field(default_factory=dict)
    _foreign: dict[int, tuple[Recipe, bool]] = field(default_factory=dict)

    def of(self, recipe: Recipe, owner: Owner) -> str:
        """The key of a recipe's artifact for an owner."""
        if isinstance(recipe, TaskRecipe):
            owner = WholeTask(self.spec.task.name)
        # whole: a parent may use the prompting where the recipe itself does not
        whose = owner.fingerprint if isinstance(owner, User) else owner.id
        place = (self._name(recipe), whose)
        found = self.known.get(place)
        if found is None:
            found = self.known[place] = digest(self._determined_by(recipe, owner))
        return found

    def _name(self, recipe: Recipe) -> str:
        """What identifies a recipe and the prompting beside it, as text: once per recipe."""
        found = self._names.get(id(recipe))
        if found is None:
            parts = [identity(recipe), identity(self.spec.method.prompting)]
            found = self._names[id(recipe)] = recipe, digest(parts, 64)
        return found[1]

    def run(self) -> str:
        """The key of the run over the whole dataset."""
        return self._run

    @cached_property
    def _run(self) -> str:
        method = self.spec.method
        parts = {name: identity(part) for name, part in method.parts().items()}
        metrics = [one for part in method.parts().values() for one in self._metrics(part)]
        everything = {
            **self._circumstances,
            **({"metrics": metrics} if metrics else {}),
            "model": self.models.identity(
                self.spec.model, self.engine_of(None), self._needs(*self._recipes())
            ),
            **self._engines_of_stages(),
            "method": [method.name, code_identity(type(method)), parts, *instance_state(method)],
            "data": self.spec.dataset.fingerprint,
            **self._beyond_the_fingerprint(),
        }
        return digest(everything)

    def _engines_of_stages(self) -> dict[str, Any]:
        """What identifies the engines of stages that another one builds than answers; the rest of
        a run's key says nothing of its stages' engines.
        """
        answering = self.engine_of(None)
        others = {
            recipe.section: self._model(recipe)
            for recipe in self._recipes()
            if not recipe.from_data_alone and self.engine_of(recipe) != answering
        }
        return {"engines": others} if others else {}

    def _beyond_the_fingerprint(self) -> dict[str, str]:
        """What the method may see and the fingerprint of the data leaves out: nothing, mostly.

        Code of others may read dates and the training users' histories; built-ins read these
        histories where they train on prompts that quote.
        """
        method, dataset = self.spec.method, self.spec.dataset
        quoting = any(
            one.sees_train_users and not isinstance(self._prompting(one), Plain)
            for one in self._recipes()
        )
        foreign = (
            code_identity(type(method))[0] == PLUGIN
            or type(method).predict is not Method.predict
            or any(_is_foreign(identity(part)) for part in method.parts().values())
        )
        found = {"dates": dataset.dates_fingerprint} if foreign else {}
        if foreign or quoting:
            found["train_histories"] = dataset.train_histories_fingerprint
        return found

    def plugins(self) -> dict[str, str]:
        """What stands for the code of the method and of the task, where these are plugins."""
        kinds = {"method": type(self.spec.method), "task": type(self.spec.task)}
        codes = {role: code_identity(kind) for role, kind in kinds.items()}
        return {role: digest(code) for role, code in codes.items() if code[0] == PLUGIN}

    def shared(self, recipe: Recipe) -> str:
        """A lock name shared by processes that may be making the same artifacts."""
        code = [
            recipe.section,
            identity(recipe),
            self._model(recipe),
        ]
        seed = None if recipe.from_data_alone else self.spec.seed
        return digest([code, self.spec.task.name, seed])

    def joint(self, recipe: Recipe, owners: Sequence[Owner]) -> str:
        """One key for the artifacts of several owners."""
        keys = [self.of(recipe, owner) for owner in owners]
        return keys[0] if len(keys) == 1 else digest(keys)

    def _determined_by(self, recipe: Recipe, owner: Owner) -> dict[str, Any]:
        return {
            **self._circumstances_of(recipe),
            "model": self._model(recipe),
            "recipe": self._with_parents(recipe, owner),
            "prompting": self._with_parents(self._prompting(recipe), owner),
            "data": self._data(recipe, owner),
        }

    def _model(self, recipe: Recipe) -> Any:
        if recipe.from_data_alone:
            return None
        model, engine = recipe.model_name(self.spec.model), self.engine_of(recipe)
        return self.models.identity(model, engine, self._needs(recipe))

    def _recipes(self) -> list[Recipe]:
        """All recipes behind the method."""
        method = self.spec.method
        return build_order([method.prompting, *method.parts().values()])

    @staticmethod
    def _needs(*recipes: Recipe) -> frozenset[Capability]:
        """What some recipes need of an engine; everything where one does not say."""
        needs = [recipe.needs() for recipe in recipes if not recipe.from_data_alone]
        return frozenset().union(*(EVERYTHING if one is None else one for one in needs))

    def _circumstances_of(self, recipe: Recipe) -> dict[str, Any]:
        everything = self._circumstances
        return {"task": everything["task"]} if recipe.from_data_alone else everything

    def _prompting(self, recipe: Recipe) -> Part:
        return self.spec.method.prompting if recipe.uses_prompting else _PLAIN

    @cached_property
    def _circumstances(self) -> dict[str, Any]:
        task = type(self.spec.task)
        words = {n: getattr(task, n) for n in ("system", "template", "example", "shorten")}
        return {
            "task": [self.spec.task.name, code_identity(task), words],
            "fidelity": self.spec.fidelity.changes(),
            "seed": self.spec.seed,
        }

    def _with_parents(self, part: Part, owner: Owner) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        _, fixed, children = self._without_owner(part)
        if isinstance(part, Borrowing):
            fixed = fixed | self._lenders(part, owner)
            children = []
        for name, child in children:
            parts[name] = self._child(child, owner)
        return {**fixed, "parts": parts}

    def _child(self, child: Part, owner: Owner) -> Any:
        if not isinstance(child, Recipe):
            return self._with_parents(child, owner)
        if isinstance(child, UserRecipe) and not isinstance(owner, User):
            return identity(child)
        return self.of(child, owner)

    def _lenders(self, part: Borrowing, owner: Owner) -> dict[str, Any]:
        """What stands for the parts inside a borrowing one: themselves, on each lender's data."""
        user = owner if isinstance(owner, User) else None
        found = part.lenders(self.spec.dataset, self.spec.seed, user)
        return {
            "inner": {name: identity(child) for name, child in child_parts(part)},
            "lenders": [
                [one.fingerprint, [self._child(child, one) for _, child in child_parts(part)]]
                for one in found
            ],
        }

    def _metrics(self, part: Part) -> list[list[Any]]:
        """Code and settings of the metrics that a part and those inside it choose by."""
        found = [
            [path, code_identity(type(metric)), metric.signature()]
            for path, one in hyper_fields(part)
            if one.metadata["hyper"].get("metric")
            for metric in [self.metric(getattr(part, one.name))]
        ]
        return found + [one for _, child in child_parts(part) for one in self._metrics(child)]

    def _without_owner(self, part: Part) -> tuple[Part, dict[str, Any], list[tuple[str, Part]]]:
        """The part, what identifies it but its children, and these: once per part."""
        found = self._fixed.get(id(part))
        if found is None:
            fixed = own_identity(part)
            if metrics := self._metrics(part):
                fixed["metrics"] = metrics
            found = part, fixed, list(keyed_parts(part))
            self._fixed[id(part)] = found
        return found

    def _data(self, recipe: Recipe, owner: Owner) -> list[str]:
        data = [owner.fingerprint] if isinstance(owner, User) else []
        if recipe.sees_train_users:
            data.append(self.spec.dataset.train_fingerprint)
            if not isinstance(self._prompting(recipe), Plain):
                data.append(self.spec.dataset.train_histories_fingerprint)
        if self._has_foreign_code(recipe):
            data.append(digest(dates_of(owner)) if isinstance(owner, User) else "")
            if recipe.sees_train_users:
                dataset = self.spec.dataset
                data += [dataset.dates_fingerprint, dataset.train_histories_fingerprint]
        return data

    def _has_foreign_code(self, recipe: Recipe) -> bool:
        """Whether a recipe or the prompting beside it has code of others."""
        found = self._foreign.get(id(recipe))
        if found is None:
            parts = (recipe, self._prompting(recipe))
            answer = any(_is_foreign(identity(part)) for part in parts)
            found = self._foreign[id(recipe)] = recipe, answer
        return found[1]


def _is_foreign(found: dict[str, Any]) -> bool:
    """Whether what identifies a part names code that is not lampbench's own."""
    inner = any(_is_foreign(child) for child in found["parts"].values())
    return inner or found["code"][0] == PLUGIN or "fields" in found
