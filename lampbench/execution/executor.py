"""Carries out what recipes and methods ask for: training, answers, scores, artifacts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lampbench.core.dataset import User
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
from lampbench.execution.bookkeeping import Bookkeeping
from lampbench.execution.cache import Cache
from lampbench.execution.check_requests import checked_requests
from lampbench.execution.engines import Engines
from lampbench.execution.gather import Gather
from lampbench.execution.keys import Keys, KnownKeys
from lampbench.execution.reference_rendering import reference_rendering
from lampbench.execution.run_context import RunContext
from lampbench.execution.specification import Owner, RunSpecification, WholeTask
from lampbench.plugin.context import Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.fault import told_as_the_plugins
from lampbench.registry import Registry
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, seed_from
from lampbench.util.progress import Progress

PREDICTIONS = "predictions"
ADAPTER = "adapter"
"""The adapter's folder within an artifact."""
Result = TypeVar("Result")


class Executor(RunContext):
    """Makes the artifacts and answers of one run, over a cache and engines.

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
        super().__init__(spec, engines, registry or Registry())
        self.cache = cache
        self.progress = progress
        known = {} if known is None else known
        self.keys = Keys(spec, engines, known, self.metric, self.engine_of)
        self.books = Bookkeeping(spec, cache, engines, self.keys)
        self.failed_users: dict[str, str] = {}

    def artifact(self, recipe: Recipe, user: User | None = None) -> Path:
        """The folder of a recipe's artifact, whether or not it has been made."""
        return self.cache.path(recipe.section, self.keys.of(recipe, self.owner(recipe, user)))

    def adapter(self, recipe: Recipe, user: User | None = None) -> Path:
        """The adapter that a recipe made for `user`, or without one for the task."""
        return self.artifact(recipe, user) / ADAPTER

    def put(self, recipe: UserRecipe, user: User, value: Any) -> None:
        """Store a JSON value as a user's artifact."""
        self.books.commit(recipe, user, None, value)

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
            output=folder / ADAPTER,
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
        job = CombineJob(tuple(terms), folder / ADAPTER)
        with told_as_the_plugins(f"engine {self.engine_of(recipe)}"):
            self._engine(recipe).combine(job)
        self.books.commit(recipe, owner, job.output, {"terms": [factor for _, factor in job.terms]})

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
            self.books.meter.usage.trained_tokens += result.tokens
            self.books.meter.usage.prompts_shortened += result.examples_shortened
            if result.steps == 1 and job.optim.warmup_ratio:
                self.progress.say(
                    f"warning: {recipe.section} of {result.id} has a single step, and warm-up "
                    f"begins at rate 0: nothing was learned; lower {recipe.section}.batch_size"
                )
            log = {"steps": result.steps, "losses": result.losses, "margins": result.margins}
            self.books.commit(recipe, owner, job.output, log)
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
            self.books.count(recipe, place, known)
        yield from gather.ready()
        if gather.waiting:
            waiting = gather.waiting
            for completion in self._asked(recipe, lambda engine: engine.generate(waiting)):
                self.books.count(recipe, gather.place(completion), completion)
                yield from gather.add(completion)

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
                self.books.meter.usage.prompt_tokens += len(result.logprobs)
                for user, scores in gather.add(result):
                    yield user, [score for (score,) in scores]

    def _partial(self, recipe: UserRecipe | None, user: User) -> Path:
        """Where results wait until they are complete: with the artifact, or with the run."""
        if recipe is not None:
            return self.cache.partial_of(recipe.section, self.keys.of(recipe, user), user.id)
        name = f"{self.keys.run()}/{digest(user.id)}"
        return self.cache.partial_of(PREDICTIONS, name, user.id)

    def _asked(
        self, recipe: Recipe | None, ask: Callable[[Engine], Iterator[Result]]
    ) -> Iterator[Result]:
        """What a recipe's engine gives; a fault in the code of somebody else's is told as such."""
        with told_as_the_plugins(f"engine {self.engine_of(recipe)}"):
            yield from ask(self._engine(recipe))

    def _engine(self, recipe: Recipe | None) -> Engine:
        model = recipe.model_name(self.model) if recipe else self.model
        return self.engines.get(model, self.engine_of(recipe))
