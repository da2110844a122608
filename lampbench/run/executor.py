"""What a recipe or a method sees of the run: data, engine, artifacts, all through one object."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.core.task import Task
from lampbench.engine.protocol import (
    Completion,
    DPOSpec,
    Engine,
    Example,
    GenerateRequest,
    LoraSpec,
    Preference,
    Score,
    ScoreRequest,
    TrainFailure,
    TrainJob,
    Weights,
)
from lampbench.plugin.identity import identity
from lampbench.plugin.prompting import Prompting
from lampbench.plugin.recipe import Owner, Recipe
from lampbench.run.cache import Cache
from lampbench.run.gather import Groups
from lampbench.run.keys import Keys, Models
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest, seed_from
from lampbench.util.progress import Progress

if TYPE_CHECKING:
    from lampbench.plugin.adaptation import AdapterRecipe
    from lampbench.plugin.method import Method

PREDICTIONS = "predictions"


class Engines(Models, Protocol):
    """Whatever hands out the engine of a model, loading it when first asked."""

    def device(self, name: str) -> str:
        """Where a model runs."""
        ...

    def get(self, name: str) -> Engine:
        """The engine of a model, by the model's name."""
        ...


@dataclass
class Usage:
    """What something cost: seconds, tokens read, written and trained on, prompts cut to fit."""

    seconds: float = 0.0
    prompt_tokens: int = 0
    new_tokens: int = 0
    trained_tokens: int = 0
    cut: int = 0


@dataclass
class Context:
    """One method on one task, model, dataset and seed, while it is executed.

    `rewards` asks contrastive decoding for its tokens' rewards, to be recorded. `failed_users`
    names users whose training failed, and why: the run goes on without them.
    """

    task: Task
    dataset: Dataset
    model: str
    prompting: Prompting
    fidelity: Fidelity
    seed: int
    cache: Cache
    engines: Engines
    progress: Progress
    keys: Keys
    rewards: bool = False
    failed_users: dict[str, str] = field(default_factory=dict)
    _usage: Usage = field(default_factory=Usage)
    _since: float = 0.0

    def begin(self) -> None:
        """Start counting costs."""
        self._usage, self._since = Usage(), time.monotonic()

    def take_usage(self) -> Usage:
        """The costs since `begin` or the last call."""
        usage, now = self._usage, time.monotonic()
        usage.seconds = now - self._since
        self._usage, self._since = Usage(), now
        return usage

    def prompt(self, user: User, item: Query | Record) -> Prompt:
        """The method's prompt for an item: the same in training, sampling, scoring and test."""
        return self.prompting.render(self, user, item)

    def quote(self, record: Record) -> str:
        """A past record as text for a prompt."""
        example = self.task.reference_example if self.fidelity.review_without_text else None
        return self.task.show(record, example=example)

    def weights(self, recipe: "AdapterRecipe | None", user: User) -> Weights:
        """The adapters that answer for `user` under a recipe; none for the model as it is."""
        return recipe.weights(self, user) if recipe else ()

    def artifact(self, recipe: Recipe, owner: Owner) -> Path:
        """The folder of a recipe's artifact; it need not be made yet."""
        return self.cache.path(recipe.section, self.keys.of(recipe, owner))

    def put(self, recipe: Recipe, owner: Owner, value: Any) -> None:
        """Cache a JSON value as the artifact of a recipe."""
        self._commit(recipe, owner, None, value)

    def get(self, recipe: Recipe, owner: Owner) -> Any:
        """The JSON value that `put` stored."""
        return self.cache.meta(recipe.section, self.keys.of(recipe, owner))["value"]

    def job(
        self,
        recipe: "AdapterRecipe",
        owner: Owner,
        data: tuple[Example, ...] | tuple[Preference, ...],
        lora: LoraSpec,
        *,
        frozen: Weights = (),
        start: Path | None = None,
        dpo: DPOSpec | None = None,
    ) -> TrainJob:
        """A training job with the recipe's optimiser, its own seed and its place in the store.

        Raises:
            LampbenchError: there is nothing to train on.
        """
        who = f"user {owner.id}" if owner else "the task-training users"
        if not data:
            raise LampbenchError(
                f"{self.dataset.source}: {who} of {self.task.name} bring no example to train "
                f"{recipe.section} on; raise --min-history or choose other data"
            )
        folder = self.cache.partial(recipe.section, self.keys.of(recipe, owner))
        return TrainJob(
            id=owner.id if owner else self.task.name,
            frozen=frozen,
            data=data,
            lora=lora,
            optim=recipe.optim(),
            seed=seed_from(self.seed, owner.id if owner else "", recipe.section),
            output=folder / "adapter",
            scratch=folder / "checkpoints",
            start=start,
            dpo=dpo,
        )

    def train(
        self, recipe: "AdapterRecipe", jobs: Sequence[tuple[Owner, TrainJob]]
    ) -> Iterator[Owner]:
        """Train adapters, storing each as soon as it stands; yields whose it was."""
        owners = {job.id: owner for owner, job in jobs}
        outputs = {job.id: job.output for _, job in jobs}
        done = dict.fromkeys(owners, 0.0)

        def on_step(job: str, step: int, steps: int) -> None:
            done[job] = step / steps
            self.progress.update(sum(done.values()))

        engine = self._engine(recipe)
        for result in engine.train([job for _, job in jobs], on_step):
            if isinstance(result, TrainFailure):
                self._leave_out(recipe, owners[result.id], result.reason)
                continue
            self._usage.trained_tokens += result.tokens
            self._usage.cut += result.cut
            if result.steps == 1 and recipe.warmup_ratio:
                self.progress.say(
                    f"warning: {recipe.section} of {result.id} has a single step, and warm-up "
                    f"begins at rate 0: nothing was learned; lower {recipe.section}.batch_size"
                )
            log = {"steps": result.steps, "losses": result.losses, "margins": result.margins}
            self._commit(recipe, owners[result.id], outputs[result.id], log)
            yield owners[result.id]

    def _leave_out(self, recipe: Recipe, owner: Owner, reason: str) -> None:
        """Go on without a user whose training failed."""
        if owner is None:
            raise LampbenchError(f"training {recipe.section} of {self.task.name}: {reason}")
        self.failed_users[owner.id] = f"{recipe.section}: {reason}"
        self.progress.say(
            f"set aside: user {owner.id} of {self.task.name}, {recipe.section}: {reason}; the "
            "others go on"
        )
        if len(self.failed_users) == len(self.dataset.test_users):
            raise LampbenchError(
                f"{self.task.name}: every user was set aside in {recipe.section}: {reason}"
            )

    def generate(
        self, recipe: Recipe, work: Iterable[tuple[Owner, Sequence[GenerateRequest]]]
    ) -> Iterator[tuple[Owner, list[list[Completion]]]]:
        """Answer requests of many owners; yields an owner's answers, in order, when complete.

        Each request has as many completions as it asked for samples.
        """
        groups = Groups[GenerateRequest, Completion](_completion)
        for owner, requests in work:
            folder = self.cache.partial(recipe.section, self.keys.of(recipe, owner))
            groups.add_owner(owner, folder, requests)
        yield from self._complete(self._engine(recipe), groups)

    def answer(
        self, method: "Method", work: Iterable[tuple[User, Sequence[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        """As `generate`, for the predictions of a method; an answer once given is kept until the
        run is recorded.
        """
        groups = Groups[GenerateRequest, Completion](_completion)
        run = self.keys.run(method)
        for user, requests in work:
            folder = self.cache.partial(PREDICTIONS, f"{run}/{digest(user.id)}")
            groups.add_owner(user, folder, requests)
        for owner, answers in self._complete(self.engines.get(self.model), groups):
            assert owner is not None
            yield owner, answers

    def score(
        self, recipe: Recipe, work: Iterable[tuple[Owner, Sequence[ScoreRequest]]]
    ) -> Iterator[tuple[Owner, list[Score]]]:
        """Score responses of many owners; yields an owner's scores, in order, when complete."""
        groups = Groups[ScoreRequest, Score](lambda value: Score(**value))
        for owner, requests in work:
            folder = self.cache.partial(recipe.section, self.keys.of(recipe, owner))
            groups.add_owner(owner, folder, requests)
        for owner, scores in groups.ready():
            yield owner, [score for (score,) in scores]
        if groups.waiting:
            for result in self._engine(recipe).score(groups.waiting):
                self._usage.prompt_tokens += len(result.logprobs)
                for owner, scores in groups.add(result):
                    yield owner, [score for (score,) in scores]

    def _complete(
        self, engine: Engine, groups: Groups[GenerateRequest, Completion]
    ) -> Iterator[tuple[Owner, list[list[Completion]]]]:
        yield from groups.ready()
        if groups.waiting:
            for completion in engine.generate(groups.waiting):
                self._usage.prompt_tokens += completion.prompt_tokens
                self._usage.new_tokens += len(completion.token_ids)
                self._usage.cut += completion.prompt_tokens_dropped > 0
                yield from groups.add(completion)

    def _commit(self, recipe: Recipe, owner: Owner, payload: Path | None, value: Any) -> None:
        meta = {
            "recipe": identity(recipe),
            "task": self.task.name,
            "owner": owner.id if owner else None,
            "model": recipe.model_name(self.model),
            "seed": self.seed,
            "cost": dataclasses.asdict(self.take_usage()),
            "value": value,
        }
        self.cache.commit(recipe.section, self.keys.of(recipe, owner), payload, meta)

    def _engine(self, recipe: Recipe) -> Engine:
        return self.engines.get(recipe.model_name(self.model))


def _completion(value: dict[str, Any]) -> Completion:
    return Completion(**value)
