"""The runner: build what is missing, answer, score, record. Read it from top to bottom."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from lampbench.core.dataset import Query, User
from lampbench.execution.cost_meter import Usage
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.fill_manifest import describe
from lampbench.execution.plan import Plan, Stage
from lampbench.execution.reference_parser import reference_parse
from lampbench.execution.specification import Owner
from lampbench.plugin.context import Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.fault import told_as_the_plugins
from lampbench.plugin.method import Prediction
from lampbench.plugin.prompting import plain_prompt
from lampbench.record.dataset_files import record_dataset
from lampbench.record.manifest import PREDICT, StageCost
from lampbench.record.private import without_texts
from lampbench.record.run_lock import run_lock
from lampbench.record.runs import read_run
from lampbench.record.unused_files import remove_unused_files
from lampbench.record.write import write_run
from lampbench.scoring import METRICS, PredictionRow, Scoring, histories, score_predictions
from lampbench.util.errors import LampbenchError

_REWARD_DIGITS = 3


def execute(plan: Plan, command: str, results: Path, force: bool = False) -> Path:
    """Carry out a plan and record the run; a run that is recorded already is left as it is.

    `force` predicts and scores again and replaces the record; trained artifacts, which the same
    key would make again to the byte, are kept.

    Returns:
        The folder of the recorded run.

    Raises:
        DamagedRun: the run is recorded already, and is not what was written.
        LampbenchError: an input is bad; what was finished before stays in the cache.
    """
    say, cache = plan.executor.progress.say, plan.executor.cache
    lock = f"run-{plan.folder.name}"
    with run_lock(plan.folder, say):
        if plan.done and not force:
            _require_recorded(plan)
            say(f"already recorded: {plan.folder} (--force runs it again)")
            cache.drop_if_free(PREDICTIONS, plan.folder.name, lock)  # a killed process left it
        else:
            # another results folder may be given the same run over this cache
            with cache.lock(lock, f"answers of {plan.title}"):
                _execute(plan, command, results, force)
    return plan.folder


def _execute(plan: Plan, command: str, results: Path, force: bool) -> None:
    executor, run = plan.executor, plan.folder.name
    if force:
        executor.cache.drop_partial(PREDICTIONS, run)
    cached = [build(plan, stage) for stage in plan.stages]
    predictions, usage = predict(plan)
    rows = _rows(plan, predictions)
    costs = [_cost(plan, stage, n) for stage, n in zip(plan.stages, cached, strict=True)]
    usage.seconds = round(usage.seconds, 3)
    costs.append(
        StageCost(stage=PREDICT, key=run, units=len(predictions), cached=0, **asdict(usage))
    )
    title = f"{plan.title}: score"
    executor.progress.start(title, len(predictions), "answers")
    task = executor.task
    scoring = Scoring(
        (*METRICS, *task.metrics), plan.spec.plugins, histories(executor.dataset), task.choices
    )
    scores = score_predictions(rows, executor.progress.update, scoring)
    executor.progress.finish()
    private = plan.spec.private
    dataset = record_dataset(results, executor.dataset, task, private=private)
    manifest = describe(plan, costs, predictions, command, dataset, scoring.describe())
    if private:
        # the first prompt's tokens are text
        service = manifest.service and manifest.service.without_requests()
        manifest = replace(manifest, private=True, prompt_head=(), service=service)
        rows = [without_texts(row) for row in rows]
    write_run(results, manifest, rows, scores, replace=force, metrics=scoring.load())
    if private:
        remove_unused_files(results, task.name)  # those of a record with texts
    executor.cache.drop_partial(PREDICTIONS, run)


def _require_recorded(plan: Plan) -> None:
    """Refuse to take a record for what it is not: sound, without texts, or with rewards.

    Raises:
        DamagedRun: the recorded run is damaged.
        LampbenchError: the recorded run is not private, and the plan is; or it lacks the rewards
            that the plan asks for.
    """
    recorded = read_run(plan.folder)
    contrasts = bool(plan.spec.method.decoding.sides)
    asked = plan.spec.rewards and contrasts and not plan.spec.private
    if asked and not any(row.rewards for row in recorded.predictions):
        raise LampbenchError(
            f"{plan.folder}: recorded already, without rewards; add --force to record it again "
            "with them"
        )
    if not recorded.manifest.private and plan.spec.private:
        raise LampbenchError(
            f"{plan.folder}: recorded already, with its texts; add --force to record it again "
            "without them"
        )


def build(plan: Plan, stage: Stage) -> int:
    """Make a stage's missing artifacts; each is stored as soon as it is complete.

    Returns:
        How many were there already.
    """
    executor = plan.executor
    what = f"{stage.name} of {plan.spec.task.name}"
    with executor.cache.lock(executor.keys.shared(stage.recipe), what):
        missing = stage.missing(executor)
        made = stage.made(executor)
        executor.cache.drop_finished(
            stage.name, (executor.keys.of(stage.recipe, owner) for owner in made)
        )
        cached = len(made)
        if missing:
            title = f"{plan.title}: {stage.name}"
            executor.progress.start(title, len(missing), stage.unit)
            executor.meter.start()
            with told_as_the_plugins(f"{stage.name} of method {plan.method.name}"):
                for done, _ in enumerate(_built(plan, stage.recipe, missing), start=1):
                    executor.progress.update(done)
            executor.progress.finish(f"{cached} cached" if cached else "")
    return cached


def _built(plan: Plan, recipe: Recipe, owners: Sequence[Owner]) -> Iterator[object]:
    """Builds a recipe; yields once per artifact."""
    if isinstance(recipe, TaskRecipe):
        recipe.build(plan.executor)
        yield recipe
    elif isinstance(recipe, UserRecipe):
        for users in _rounds([owner for owner in owners if isinstance(owner, User)]):
            built = recipe.build(plan.executor, users)
            yield from _iterable(built, f"build() of {type(recipe).__name__}", "each user when "
                                 "their artifact is stored")  # fmt: skip


def _rounds(users: Sequence[User]) -> list[list[User]]:
    """Users in as few lists as possible so that none has an id twice.

    A user may be there with two histories: their own, and one that was dealt to them.
    """
    rounds: list[dict[str, User]] = []
    for user in users:
        free = next((one for one in rounds if user.id not in one), None)
        if free is None:
            rounds.append(free := {})
        free[user.id] = user
    return [list(one.values()) for one in rounds]


def _predictions(plan: Plan, users: Sequence[User]) -> Iterator[Prediction]:
    """A method's predictions, each checked to be one."""
    for prediction in _told(plan, users):
        if not isinstance(prediction, Prediction):
            raise LampbenchError(
                f"method {plan.method.name} returned {prediction!r}, which is not a "
                "Prediction; fix its predict()"
            )
        if not isinstance(prediction.text, str):
            raise LampbenchError(
                f"method {plan.method.name} answered query {prediction.query!r} of user "
                f"{prediction.user!r} with {prediction.text!r:.80}, which is not text; fix its "
                "predict()"
            )
        yield prediction


def _told(plan: Plan, users: Sequence[User]) -> Iterator[object]:
    """What `predict` of the method yields; a fault of its code is told as its own."""
    with told_as_the_plugins(f"method {plan.method.name}"):
        made = plan.method.predict(plan.executor, users)
        what = f"predict() of method {plan.method.name}"
        yield from _iterable(made, what, "one Prediction per query")


def _iterable(returned: object, what: str, wanted: str) -> Iterable[object]:
    """What a plugin's function returned, if it can be iterated over.

    Raises:
        LampbenchError: it cannot.
    """
    if not isinstance(returned, Iterable):
        raise LampbenchError(f"{what} returned {returned!r:.80}: make it yield {wanted}")
    return returned


def predict(
    plan: Plan, asked_users: Sequence[User] | None = None
) -> tuple[list[Prediction], Usage]:
    """Answer every query of some users (None: all test users), in the order of the users.

    Raises:
        LampbenchError: the method failed, or returned something else than one prediction per
            query.
    """
    executor = plan.executor
    given = executor.dataset.test_users if asked_users is None else asked_users
    users = [user for user in given if user.id not in executor.failed_users]
    queries = {(user.id, query.id): query for user in users for query in user.queries}
    title = f"{plan.title}: predict"
    executor.progress.start(title, len(queries), "queries")
    executor.meter.start()
    answered: dict[tuple[str, str], Prediction] = {}
    for prediction in _predictions(plan, users):
        asked = (prediction.user, prediction.query)
        if asked not in queries:
            raise LampbenchError(
                f"method {plan.method.name} returned a prediction for unknown query {asked[1]!r} "
                f"of user {asked[0]!r}; fix its predict()"
            )
        if asked in answered:
            raise LampbenchError(
                f"method {plan.method.name} returned two predictions for query {asked[1]!r} of "
                f"user {asked[0]!r}; fix its predict()"
            )
        answered[asked] = prediction
        executor.progress.update(len(answered))
    if missing := queries.keys() - answered.keys():
        user, query = sorted(missing)[0]
        raise LampbenchError(
            f"method {plan.method.name} returned no prediction for {len(missing)} queries, first "
            f"{query!r} of user {user!r}; fix its predict()"
        )
    executor.progress.finish()
    return [answered[asked] for asked in queries], executor.meter.take()


def _rows(plan: Plan, predictions: Sequence[Prediction]) -> list[PredictionRow]:
    """Predictions beside their references, parsed as the reference code does where asked."""
    test_users = plan.executor.dataset.test_users
    queries = {(user.id, query.id): query for user in test_users for query in user.queries}
    return [_row(plan, one, queries[one.user, one.query]) for one in predictions]


def _row(plan: Plan, prediction: Prediction, query: Query) -> PredictionRow:
    executor, text = plan.executor, prediction.text
    if executor.fidelity.parse_outputs:
        prompt = plain_prompt(executor, query)
        text = reference_parse(executor.task, plan.method, executor.model, prompt, text)
    rewards = tuple(round(value, _REWARD_DIGITS) for value in prediction.rewards)
    return PredictionRow(
        user=prediction.user,
        query=prediction.query,
        prediction=text,
        reference=query.reference,
        prompt_tokens=prediction.prompt_tokens,
        new_tokens=prediction.new_tokens,
        prompt_tokens_dropped=prediction.prompt_tokens_dropped,
        truncated=prediction.truncated,
        quoted=tuple(prediction.quoted),
        tokens=tuple(prediction.tokens) if rewards else (),
        rewards=rewards,
    )


def _cost(plan: Plan, stage: Stage, cached: int) -> StageCost:
    """What a stage's artifacts cost when they were made, in this run or an earlier one."""
    executor = plan.executor
    owners = stage.made(executor)
    metas = [executor.cache.meta(stage.name, executor.keys.of(stage.recipe, owner))
             for owner in owners]  # fmt: skip
    sums = {
        field.name: round(sum(meta["cost"][field.name] for meta in metas), 3)
        for field in fields(Usage)
    }
    return StageCost(
        stage=stage.name,
        key=executor.keys.joint(stage.recipe, stage.owners),
        units=len(owners),
        cached=cached,
        **sums,
    )
