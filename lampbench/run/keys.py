"""Keys of artifacts and runs: the digest of all that determines them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lampbench.core.dataset import Dataset
from lampbench.core.fidelity import Fidelity
from lampbench.core.task import Task
from lampbench.plugin.hyperparameter import Part, child_parts, hyper_fields
from lampbench.plugin.identity import code_identity, identity
from lampbench.plugin.prompting import Plain, Prompting
from lampbench.plugin.recipe import Owner, Recipe
from lampbench.util.hashing import digest

if TYPE_CHECKING:
    from lampbench.plugin.method import Method


class Models(Protocol):
    """Whatever knows what identifies a model."""

    def identity(self, name: str) -> Any:
        """JSON value that differs when the model's answers may differ."""
        ...


@dataclass
class Keys:
    """Keys under fixed circumstances.

    Two runs get the same key for an artifact exactly when the same code, settings, parents, data,
    model and seed make it, whatever the method is called that asks for it.

    `models` maps a model's name to what identifies it (weights, dtype, chat template); it is
    asked for each model that a recipe names.
    """

    task: Task
    dataset: Dataset
    model: str
    models: Models
    prompting: Prompting
    fidelity: Fidelity
    seed: int
    _known: dict[tuple[Recipe, str | None], str] = field(default_factory=dict)

    def of(self, recipe: Recipe, owner: Owner) -> str:
        """The key of a recipe's artifact for an owner."""
        if recipe.scope == "task":
            owner = None
        known = (recipe, owner.id if owner else None)
        if known not in self._known:
            self._known[known] = digest(self._determined_by(recipe, owner))
        return self._known[known]

    def run(self, method: "Method") -> str:
        """The key of a method's run over the whole dataset."""
        parts = {name: identity(part) for name, part in method.parts().items()}
        everything = {
            **self._circumstances(),
            "model": self.models.identity(self.model),
            "method": [method.name, code_identity(type(method)), parts],
            "data": self.dataset.fingerprint,
        }
        return digest(everything)

    def shared(self, recipe: Recipe) -> str:
        """A name that two processes share when they may be making the same artifacts."""
        code = [
            recipe.section,
            identity(recipe),
            self.models.identity(recipe.model_name(self.model)),
        ]
        return digest([code, self.task.name, self.seed])

    def joint(self, recipe: Recipe, owners: Sequence[Owner]) -> str:
        """One key for the artifacts of several owners."""
        keys = [self.of(recipe, owner) for owner in owners]
        return keys[0] if len(keys) == 1 else digest(keys)

    def _determined_by(self, recipe: Recipe, owner: Owner) -> dict[str, Any]:
        return {
            **self._circumstances(),
            "model": self.models.identity(recipe.model_name(self.model)),
            "recipe": self._with_parents(recipe, owner),
            "prompting": self._with_parents(self._prompting(recipe), owner),
            "data": self._data(recipe, owner),
        }

    def _prompting(self, recipe: Recipe) -> Part:
        return self.prompting if recipe.uses_prompting else Plain()

    def _circumstances(self) -> dict[str, Any]:
        task = type(self.task)
        words = {n: getattr(task, n) for n in ("system", "template", "example", "shorten")}
        return {
            "task": [self.task.name, code_identity(task), words],
            "fidelity": self.fidelity.changes(),
            "seed": self.seed,
        }

    def _with_parents(self, part: Part, owner: Owner) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        for name, child in child_parts(part):
            if not isinstance(child, Recipe):
                parts[name] = self._with_parents(child, owner)
            elif child.scope == "user" and owner is None:
                parts[name] = identity(child)
            else:
                parts[name] = self.of(child, owner)
        values = {f.name: getattr(part, f.name) for _, f in hyper_fields(part)}
        return {"code": code_identity(type(part)), "hyper": values, "parts": parts}

    def _data(self, recipe: Recipe, owner: Owner) -> list[str]:
        data = [owner.fingerprint] if owner else []
        if recipe.sees_train_users:
            data.append(self.dataset.train_fingerprint)
            if not isinstance(self._prompting(recipe), Plain):
                data.append(digest([user.fingerprint for user in self.dataset.train_users]))
        return data
