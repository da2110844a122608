"""What a method may know of its run: data, model, options, prompts and weights."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.core.task import Task
from lampbench.engine.models import ModelSpec
from lampbench.engine.protocol import Weights
from lampbench.execution.engines import Engines
from lampbench.execution.specification import Owner, RunSpecification, WholeTask
from lampbench.execution.stage_engines import engine_of
from lampbench.plugin.context import Context, Recipe, TaskRecipe, WeightsSource
from lampbench.plugin.metric import Metric
from lampbench.registry import Registry


class RunContext(Context):
    """The part of `Context` that asks for no work: what was chosen, and prompts and weights."""

    def __init__(self, spec: RunSpecification, engines: Engines, registry: Registry) -> None:
        self.spec = spec
        self.engines = engines
        self._registry = registry

    @property
    def task(self) -> Task:
        """The run's task."""
        return self.spec.task

    @property
    def dataset(self) -> Dataset:
        """The run's data."""
        return self.spec.dataset

    @property
    def model(self) -> str:
        """The run's model, by name."""
        return self.spec.model

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.spec.seed

    def engine_of(self, recipe: Recipe | None) -> str:
        """The name of the engine that builds a recipe's artifacts, or with None answers."""
        return engine_of(self.engines.options, recipe)

    @property
    def model_spec(self) -> ModelSpec:
        """The run's model, as the engine that answers finds it."""
        return self.engines.model(self.model, self.engine_of(None))

    @property
    def dtype(self) -> str:
        """Precision of the model's weights and activations."""
        return self.engines.dtype(self.model, self.engine_of(None))

    @property
    def device(self) -> str:
        """Where the model runs."""
        known = self.engines.device(self.model, self.engine_of(None))
        if known != "auto":
            return known
        from lampbench.engine.load_model import choose_device

        return str(choose_device(None))

    @property
    def chat_template(self) -> str | None:
        """Name of lampbench's chat template that is used; None for the tokenizer's own."""
        return self.engines.chat_template(self.model, self.engine_of(None))

    @property
    def options(self) -> Mapping[str, Any]:
        """The run's options by name."""
        model = self.model_spec
        return MappingProxyType({
            "location": model.location, "revision": model.revision, "dtype": self.dtype,
            "device": self.device, "chat_template": self.chat_template, "seed": self.seed,
            "engine": self.engine_of(None),
            "batch_size": self.engines.options.batch_size,
            "fidelity": self.fidelity.name, "rewards": self.rewards, "private": self.spec.private,
        })  # fmt: skip

    @property
    def fidelity(self) -> Fidelity:
        """The run's fidelity switches."""
        return self.spec.fidelity

    @property
    def rewards(self) -> bool:
        """Whether tokens' rewards are recorded."""
        return self.spec.rewards

    def metric(self, name: str) -> Metric:
        """A metric by name."""
        found: Metric = self._registry.metric(name)
        return found

    def prompt(self, user: User, item: Query | Record) -> Prompt:
        """The method's prompt for an item."""
        return self.spec.method.prompting.render(self, user, item)

    def quote(self, record: Record) -> str:
        """A past record as text for a prompt."""
        example = self.task.reference_quotation if self.fidelity.released_wording else None
        if self.fidelity.review_without_text:
            example = self.task.reference_example or example
        return self.task.show(record, example=example)

    def weights(self, recipe: WeightsSource | None, user: User) -> Weights:
        """The adapters that answer for `user`; none for the model as it is."""
        return recipe.weights(self, user) if recipe else ()

    def own_weights(self, user: User) -> Weights:
        """The adapters that answer for `user` under the method itself."""
        return self.weights(self.spec.method.adaptation, user)

    def owner(self, recipe: Recipe, user: User | None) -> Owner:
        """Whose a recipe's artifact is: a task recipe has one artifact for all users."""
        if isinstance(recipe, TaskRecipe):
            return WholeTask(self.task.name)
        if user is None:
            raise TypeError(f"{recipe.section} is made per user: name the user")
        return user
