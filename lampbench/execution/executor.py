"""Carries out what recipes and methods ask for: prompts, training, answers, artifacts."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.core.task import Task
from lampbench.engine.models import ModelSpec
from lampbench.engine.pool import EngineOptions
from lampbench.engine.protocol import (
    AdapterSpec,
    CombineJob,
    Completion,
    DPOSpec,
    Engine,
    GenerateRequest,
    OptimSpec,
    PreferencePair,
    ScoreRequest,
    ScoreResult,
    SFTExample,
    TrainFailure,
    TrainJob,
    Weights,
)
from lampbench.execution.cache import PARTIAL, Cache
from lampbench.execution.check_requests import checked_requests
from lampbench.execution.cost_meter import CostMeter
from lampbench.execution.gather import Gather
from lampbench.execution.journal import journal_owner
from lampbench.execution.keys import Keys, KnownKeys, ModelIdentities
from lampbench.execution.lenders import contributors
from lampbench.execution.reference_rendering import reference_rendering
from lampbench.execution.service_tally import ServiceTally
from lampbench.execution.specification import Owner, RunSpecification, WholeTask
from lampbench.execution.stage_engines import engine_of
from lampbench.plugin.context import Context, Recipe, TaskRecipe, UserRecipe, WeightsSource
from lampbench.plugin.fault import told_as_the_plugins
from lampbench.plugin.identity import identity
from lampbench.plugin.metric import Metric
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, seed_from
from lampbench.util.progress import Progress

PREDICTIONS = "predictions"
Result = TypeVar("Result")


class Engines(ModelIdentities, Protocol):
    """Hands out the engine of a model, opening it when first asked.

    `engine` is an engine's name, None for the run's own.
    """

    options: EngineOptions

    def model(self, model: str, engine: str | None = None) -> ModelSpec:
        """A model by its name.

        Raises:
            LampbenchError: there is no such model.
        """
        ...

    def revision(self, model: str, engine: str | None = None) -> str | None:
        """A model's commit, or what else an engine knows it by; None for neither."""
        ...

    def device(self, model: str, engine: str | None = None) -> str:
        """Where a model runs."""
        ...

    def dtype(self, model: str, engine: str | None = None) -> str:
        """Precision of a model's weights and activations."""
        ...

    def chat_template(self, model: str, engine: str | None = None) -> str | None:
        """Name of a model's chat template, or None for the tokenizer's own."""
        ...

    def arguments(self) -> dict[str, Any]:
        """How models are loaded: what was given of `--model-arg`, by name."""
        ...

    def prices(self, model: str, engine: str | None = None) -> tuple[float, float] | None:
        """What a million tokens read and written cost; None where it is not known or nothing."""
        ...

    def reads_model_files(self, engine: str | None = None) -> bool:
        """Whether an engine reads the model's files; if not, the model is elsewhere."""
        ...

    def keyed_arguments(self, engine: str) -> frozenset[str]:
        """The names of an engine's arguments that may change an answer."""
        ...

    def argument(self, engine: str, name: str) -> Any:
        """An engine's argument as given, or its default; None where it has none of the name."""
        ...

    def batching(self, model: str, engine: str | None = None) -> dict[str, int]:
        """The most that a pass of a model's engine holds, by name of the bound."""
        ...

    def get(self, model: str, engine: str | None = None) -> Engine:
        """An engine of a model, by the model's name."""
        ...

    def close(self) -> None:
        """Close every engine that is open; they are opened again when they are asked for."""
        ...


class Executor(Context):
    """The `Context` of one run, over a cache and engines.

    `failed_users` names users whose training failed, or that of users whose data they need, and
    why: the run goes on without them.
    """

    def __init__(
        self,
        spec: RunSpecification,
        cache: Cache,
        engines: Engines,
        progress: Progress,
        known: KnownKeys | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.spec = spec
        self.cache = cache
        self.engines = engines
        self.progress = progress
        self._registry = registry or Registry()
        known = {} if known is None else known
        self.keys = Keys(spec, engines, known, self.metric, self.engine_of)
        self.meter = CostMeter()
        self.service = ServiceTally()
        self._counted: set[str] = set()
        self._tallies: defaultdict[str, ServiceTally] = defaultdict(ServiceTally)
        self._in_service: set[tuple[str, str]] = set()  # artifacts whose answers are counted there
        self.failed_users: dict[str, str] = {}

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

    def artifact(self, recipe: Recipe, user: User | None = None) -> Path:
        """The folder of a recipe's artifact, whether or not it has been made."""
        return self.cache.path(recipe.section, self.keys.of(recipe, self.owner(recipe, user)))

    def put(self, recipe: UserRecipe, user: User, value: Any) -> None:
        """Store a JSON value as a user's artifact."""
        self._commit(recipe, user, None, value)

    def get(self, recipe: UserRecipe, user: User) -> Any:
        """The JSON value that `put` stored."""
        return self.cache.meta(recipe.section, self.keys.of(recipe, user))["value"]

    def job(
        self,
        recipe: Recipe,
        data: tuple[SFTExample, ...] | tuple[PreferencePair, ...],
        adapter: AdapterSpec,
        optim: OptimSpec,
        *,
        user: User | None = None,
        frozen: Weights = (),
        start: Path | None = None,
        dpo: DPOSpec | None = None,
    ) -> TrainJob:
        """A training job with a seed and an output folder of its own."""
        owner = self.owner(recipe, user)
        if not data:
            who = f"user {user.id}" if user else "the task-training users"
            raise LampbenchError(
                f"{self.dataset.source}: {who} of {self.task.name} have no example to train "
                f"{recipe.section} on; raise --min-history or choose other data"
            )
        whose = owner.id if isinstance(owner, User) else None
        folder = self.cache.partial_of(recipe.section, self.keys.of(recipe, owner), whose)
        return TrainJob(
            id=owner.id,
            frozen=frozen,
            data=data,
            adapter=adapter,
            optim=optim,
            seed=seed_from(self.seed, user.id if user else "", recipe.section),
            output=folder / "adapter",
            scratch=folder / "checkpoints",
            start=start,
            dpo=dpo,
        )

    def train(self, recipe: TaskRecipe, job: TrainJob) -> None:
        """Train and store the task's adapter."""
        for _, failure in self._train(recipe, [(WholeTask(self.task.name), job)]):
            if failure:
                raise LampbenchError(f"training {recipe.section} of {self.task.name}: {failure}")

    def combine(
        self, recipe: Recipe, terms: Sequence[tuple[Path, float]], user: User | None = None
    ) -> None:
        """Store the weighted sum of LoRA adapters as a recipe's adapter, `user`'s or the task's."""
        owner = self.owner(recipe, user)
        folder = self.cache.partial(recipe.section, self.keys.of(recipe, owner))
        job = CombineJob(tuple(terms), folder / "adapter")
        with told_as_the_plugins(f"engine {self.engine_of(recipe)}"):
            self._engine(recipe).combine(job)
        self._commit(recipe, owner, job.output, {"terms": [factor for _, factor in job.terms]})

    def train_users(
        self, recipe: UserRecipe, jobs: Sequence[tuple[User, TrainJob]]
    ) -> Iterator[User]:
        """Train users' adapters together; yields each user when their adapter is stored."""
        users = {user.id: user for user, _ in jobs}
        for owner, failure in self._train(recipe, jobs):
            if failure:
                self.leave_out(recipe.section, owner.id, failure)
            else:
                yield users[owner.id]

    def _train(
        self, recipe: Recipe, jobs: Sequence[tuple[Owner, TrainJob]]
    ) -> Iterator[tuple[Owner, str]]:
        """Each owner with the reason why training failed, empty where it did not."""
        owners = {job.id: (owner, job) for owner, job in jobs}
        done = dict.fromkeys(owners, 0.0)

        def on_step(job: str, step: int, steps: int) -> None:
            done[job] = step / steps
            note = f"step {step} of {steps}" if len(done) == 1 else ""
            self.progress.update(sum(done.values()), note)

        given = [job for _, job in jobs]
        for result in self._asked(recipe, lambda engine: engine.train(given, on_step)):
            owner, job = owners[result.id]
            if isinstance(result, TrainFailure):
                yield owner, result.reason
                continue
            self.meter.usage.trained_tokens += result.tokens
            self.meter.usage.prompts_shortened += result.examples_shortened
            if result.steps == 1 and job.optim.warmup_ratio:
                self.progress.say(
                    f"warning: {recipe.section} of {result.id} has a single step, and warm-up "
                    f"begins at rate 0: nothing was learned; lower {recipe.section}.batch_size"
                )
            log = {"steps": result.steps, "losses": result.losses, "margins": result.margins}
            self._commit(recipe, owner, job.output, log)
            yield owner, ""

    def leave_out(self, stage: str, user: str, reason: str) -> None:
        """Go on without the user with this id, who failed in a stage.

        Raises:
            LampbenchError: every user has failed.
        """
        self.failed_users[user] = f"{stage}: {reason}"
        self.progress.say(
            f"user {user} of {self.task.name} failed in {stage}: {reason}; the run goes on "
            "without this user"
        )
        if len(self.failed_users) == len(self.dataset.test_users):
            raise LampbenchError(f"{self.task.name}: every user failed in {stage}: {reason}")

    def generate(
        self, recipe: UserRecipe, work: Iterable[tuple[User, Iterable[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        """Completions for the artifacts of a recipe, by user, as soon as a user's are complete."""
        return self._generate(recipe, work)

    def answer(
        self, work: Iterable[tuple[User, Iterable[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        """As `generate`, for `Method.predict`; kept until the run is recorded."""
        return self._generate(None, work)

    def _generate(
        self,
        recipe: UserRecipe | None,
        work: Iterable[tuple[User, Iterable[GenerateRequest]]],
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        gather = Gather[GenerateRequest, Completion](self.cache)
        for user, requests in work:
            checked = checked_requests(self.spec.method, user.id, requests)
            if recipe is None:
                checked = reference_rendering(self.fidelity, self.spec.method, checked)
            gather.add_user(user, self._partial(recipe, user), checked)
        for place, known in gather.known.items():
            self._count(recipe, place, known)
        yield from gather.ready()
        if gather.waiting:
            waiting = gather.waiting
            for completion in self._asked(recipe, lambda engine: engine.generate(waiting)):
                self._count(recipe, gather.place(completion), completion)
                yield from gather.add(completion)

    def _count(self, recipe: UserRecipe | None, place: str, completion: Completion) -> None:
        """Add up what an answer cost, once, whichever process received it.

        `place` is where it is kept, the same each time that a method asks for it.
        """
        if place in self._counted:
            return
        self._counted.add(place)
        model = recipe.model_name(self.model) if recipe else self.model
        self.service.add(model, completion, completion.id)
        if recipe is not None:
            owner = place.rsplit("/", 2)[0]  # before the request's digest and the sample
            self._tallies[owner].add(model, completion, completion.id)
        self.meter.usage.prompt_tokens += completion.prompt_tokens
        self.meter.usage.new_tokens += completion.new_tokens
        self.meter.usage.prompts_shortened += completion.prompt_tokens_dropped > 0

    def score(
        self,
        work: Iterable[tuple[User, Iterable[ScoreRequest]]],
        recipe: UserRecipe | None = None,
    ) -> Iterator[tuple[User, list[ScoreResult]]]:
        """Log-probabilities of given responses, by user, one per request, in order."""
        gather = Gather[ScoreRequest, ScoreResult](self.cache)
        for user, requests in work:
            checked = checked_requests(self.spec.method, user.id, requests)
            gather.add_user(user, self._partial(recipe, user), checked)
        for user, scores in gather.ready():
            yield user, [score for (score,) in scores]
        if gather.waiting:
            unscored = gather.waiting
            for result in self._asked(recipe, lambda engine: engine.score(unscored)):
                self.meter.usage.prompt_tokens += len(result.logprobs)
                for user, scores in gather.add(result):
                    yield user, [score for (score,) in scores]

    def _partial(self, recipe: UserRecipe | None, user: User) -> Path:
        """Where results wait until they are complete: with the artifact, or with the run."""
        if recipe is not None:
            return self.cache.partial_of(recipe.section, self.keys.of(recipe, user), user.id)
        name = f"{self.keys.run()}/{digest(user.id)}"
        return self.cache.partial_of(PREDICTIONS, name, user.id)

    def reuse(self, recipe: Recipe, owners: Iterable[Owner]) -> None:
        """Add up what servers said of artifacts that an earlier run made.

        Raises:
            LampbenchError: a server withheld texts of one, and this run is to stop at such; or
                another version of the model made it.
        """
        for owner in owners:
            section, key = recipe.section, self.keys.of(recipe, owner)
            if (section, key) in self._in_service:
                continue
            served = self.cache.meta(section, key).get("served")
            if served:
                stops = self.engines.argument(self.engine_of(recipe), "withheld") == "stop"
                if served["withheld"] and stops:
                    raise LampbenchError(
                        f"{self.cache.path(section, key)}: made without {len(served['withheld'])} "
                        f"texts that the server withheld ({served['withheld'][0]}): give "
                        "--engine-arg withheld=record to use it, or delete this folder to have it "
                        "made again"
                    )
                self.service.add_stored(recipe.model_name(self.model), served)
            self._in_service.add((section, key))

    def _commit(self, recipe: Recipe, owner: Owner, payload: Path | None, value: Any) -> None:
        key = self.keys.of(recipe, owner)
        place = journal_owner(owner.id, Path(PARTIAL, recipe.section, key))
        served = self._tallies.pop(place, ServiceTally()).stored()
        meta = {
            "recipe": identity(recipe),
            "task": self.task.name,
            "owner": owner.id if isinstance(owner, User) else None,
            **self._others(recipe, owner),
            "model": recipe.model_name(self.model),
            "seed": self.seed,
            "cost": dataclasses.asdict(self.meter.take()),
            "value": value,
            **({"served": served} if served else {}),
        }
        self.cache.commit(recipe.section, key, payload, meta)
        self._in_service.add((recipe.section, key))

    def _others(self, recipe: Recipe, owner: Owner) -> dict[str, list[str]]:
        """Whose data went in besides the owner's: they may ask to be forgotten too."""
        parts = [recipe, *([self.spec.method.prompting] if recipe.uses_prompting else [])]
        others = contributors(parts, owner, self.dataset, self.seed) - {owner.id}
        return {"others": sorted(others)} if others else {}

    def _asked(
        self, recipe: Recipe | None, ask: Callable[[Engine], Iterator[Result]]
    ) -> Iterator[Result]:
        """What a recipe's engine gives; a fault in the code of somebody else's is told as such."""
        with told_as_the_plugins(f"engine {self.engine_of(recipe)}"):
            yield from ask(self._engine(recipe))

    def _engine(self, recipe: Recipe | None) -> Engine:
        model = recipe.model_name(self.model) if recipe else self.model
        return self.engines.get(model, self.engine_of(recipe))
