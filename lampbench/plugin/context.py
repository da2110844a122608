"""What methods and recipes see of the run that executes them, and what a recipe is."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.core.task import Task
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import (
    AdapterSpec,
    Completion,
    DPOSpec,
    GenerateRequest,
    OptimSpec,
    PreferencePair,
    ScoreRequest,
    ScoreResult,
    SFTExample,
    TrainJob,
    Weights,
)
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.metric import Metric


class WeightsSource(Part):
    """Whose weights answer for a user: a recipe of adapters, or a part around one."""

    @abstractmethod
    def weights(self, context: "Context", user: User) -> Weights:
        """The stack of adapters that answers for a user."""


class Context(Protocol):
    """One method on one task, model, dataset and seed, while it is executed."""

    @property
    def task(self) -> Task:
        """What is asked."""
        ...

    @property
    def dataset(self) -> Dataset:
        """Test users, and the users whose queries may be trained on."""
        ...

    @property
    def model(self) -> str:
        """The run's model, by name."""
        ...

    @property
    def seed(self) -> int:
        """The run's seed; derive others with `seed_from(context.seed, user.id, ...)`."""
        ...

    @property
    def dtype(self) -> str:
        """Precision of the model's weights and activations: float32, bfloat16 or float16."""
        ...

    @property
    def device(self) -> str:
        """Where the model runs, as torch names it: cpu, cuda:0, mps."""
        ...

    @property
    def chat_template(self) -> str | None:
        """Name of lampbench's chat template that is used; None for the tokenizer's own."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The run's options by name.

        `location` (a folder or hub id for `from_pretrained`) and `revision` of the model, `engine`,
        `batch_size` (None: as many rows as fit in memory), `fidelity`, `rewards`, `private`, and
        `dtype`, `device`, `chat_template` and `seed` as above. Answers must not depend on `device`,
        `batch_size`, `rewards` and `private`: they are no part of a run's key. (In bfloat16 the
        engine's own rounding depends on the first two.)
        """
        ...

    @property
    def fidelity(self) -> Fidelity:
        """Switches for the places where the paper and its released code disagree."""
        ...

    @property
    def rewards(self) -> bool:
        """Whether contrastive decoding records each token's reward."""
        ...

    def metric(self, name: str) -> Metric:
        """A metric by name, for methods that choose by one.

        Raises:
            LampbenchError: there is none of this name.
        """
        ...

    def prompt(self, user: User, item: Query | Record) -> Prompt:
        """The method's prompt for an item: the same in training, sampling, scoring and test."""
        ...

    def quote(self, record: Record) -> str:
        """A past record as text for a prompt."""
        ...

    def weights(self, recipe: WeightsSource | None, user: User) -> Weights:
        """The adapters that answer for `user` under a recipe; none for the model as it is."""
        ...

    def own_weights(self, user: User) -> Weights:
        """The adapters that answer for `user` under the method itself."""
        ...

    def artifact(self, recipe: "Recipe", user: User | None = None) -> Path:
        """The folder of a recipe's artifact, whether or not it has been made."""
        ...

    def adapter(self, recipe: "Recipe", user: User | None = None) -> Path:
        """The adapter that a recipe made for `user`, or without one for the task.

        A folder in PEFT's format, whether or not it has been made. It is that adapter alone;
        `weights` has what is below it too.

        Raises:
            TypeError: the recipe makes adapters per user, and `user` is None.
        """
        ...

    def put(self, recipe: "UserRecipe", user: User, value: Any) -> None:
        """Store a JSON value as a user's artifact."""
        ...

    def get(self, recipe: "UserRecipe", user: User) -> Any:
        """The JSON value that `put` stored."""
        ...

    def job(
        self,
        recipe: "Recipe",
        data: tuple[SFTExample, ...] | tuple[PreferencePair, ...],
        adapter: AdapterSpec,
        optim: OptimSpec,
        *,
        user: User | None = None,
        frozen: Weights = (),
        start: Path | None = None,
        dpo: DPOSpec | None = None,
    ) -> TrainJob:
        """A training job with a seed and an output folder of its own.

        `user` is None for the task's adapter. The job trains on top of `frozen`; `start` is an
        adapter to continue instead of a new one.

        Raises:
            LampbenchError: there is nothing to train on.
        """
        ...

    def train(self, recipe: "TaskRecipe", job: TrainJob) -> None:
        """Train and store the task's adapter.

        Raises:
            LampbenchError: the loss or a gradient stopped being a number.
        """
        ...

    def combine(
        self,
        recipe: "Recipe",
        terms: Sequence[tuple[Path, float]],
        user: User | None = None,
    ) -> None:
        """Store the weighted sum of LoRA adapters as a recipe's adapter, `user`'s or the task's.

        What is added are the changes to the model's weights, not the matrices A and B.

        Raises:
            LampbenchError: an adapter is missing, damaged or not a plain LoRA.
        """
        ...

    def train_users(
        self, recipe: "UserRecipe", jobs: Sequence[tuple[User, TrainJob]]
    ) -> Iterator[User]:
        """Train users' adapters together; yields each user when their adapter is stored.

        A user whose training fails is left out of the run, which reports it.
        """
        ...

    def generate(
        self, recipe: "UserRecipe", work: Iterable[tuple[User, Iterable[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        """Completions for the artifacts of a recipe, by user, as soon as a user's are complete.

        One list per request, in order, with as many completions as it asked for samples. What a
        killed run had received is not asked for again.
        """
        ...

    def answer(
        self, work: Iterable[tuple[User, Iterable[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        """As `generate`, for `Method.predict`; may be called as often as a method likes."""
        ...

    def score(
        self,
        work: Iterable[tuple[User, Iterable[ScoreRequest]]],
        recipe: "UserRecipe | None" = None,
    ) -> Iterator[tuple[User, list[ScoreResult]]]:
        """Log-probabilities of given responses, by user, one per request, in order.

        `recipe` is whose artifacts the scores are for; None in `Method.predict`.
        """
        ...


@dataclass(frozen=True)
class Recipe(Part):
    """How to make one kind of artifact. Its parents are recipes too, so they form a graph.

    `sees_train_users` says whether the task-training users' data goes into it (its key then
    depends on their fingerprint), `uses_prompting` whether the method's prompts do. An artifact
    `from_data_alone` is made without the run's model and seed, and shared by runs that differ in
    these.
    """

    sees_train_users: ClassVar[bool] = False
    uses_prompting: ClassVar[bool] = True
    from_data_alone: ClassVar[bool] = False

    def model_name(self, run_model: str) -> str:
        """The model that makes this artifact; the run's own unless a recipe says otherwise."""
        return run_model

    def needs(self) -> frozenset[Capability] | None:
        """What the engine must be able to do to make it: nothing where none is asked, None where
        it is not known before. A recipe that trains adapters also names their kind.
        """
        return None

    def missing_package(self) -> str | None:
        """What it needs that is not installed, and how to get it, in one line; None for nothing."""
        return None


@dataclass(frozen=True)
class TaskRecipe(Recipe):
    """A recipe with one artifact for the whole task."""

    @abstractmethod
    def build(self, context: Context) -> None:
        """Make and store the artifact."""


@dataclass(frozen=True)
class UserRecipe(Recipe):
    """A recipe with one artifact per user."""

    @abstractmethod
    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Make the artifacts of all `users` in one pass, so that they can share batches.

        Yields each user as soon as their artifact is stored.
        """
