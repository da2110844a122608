"""Making what a run consists of: the missing artifacts of its stages, then the predictions."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from itertools import islice

from lampbench.core.dataset import User
from lampbench.execution.cost_meter import Usage
from lampbench.execution.failed_lenders import leave_out_borrowers, require_lenders
from lampbench.execution.plan import Plan, Stage, make_stages
from lampbench.execution.shard import ALL_USERS, Shard, shard_index
from lampbench.execution.shard_answers import ShardAnswers, on_disk
from lampbench.execution.specification import Owner
from lampbench.execution.stage_titles import stage_title
from lampbench.plugin.context import Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.fault import place_of_function, told_as_the_plugins
from lampbench.plugin.method import Prediction
from lampbench.record.manifest import PREDICT, StageCost
from lampbench.util.errors import LampbenchError
from lampbench.util.stage_rows import UNDIVIDED, StagePart

AT_ONCE = 2_000
"""Users whose answers a method is asked for at once: their prompts are in memory together."""


def make_answers(plan: Plan, shard: Shard = ALL_USERS) -> ShardAnswers:
    """Make the missing artifacts behind the answers for a shard's users, and their predictions.

    Artifacts of other shards' users that these answers need (a method may borrow from others) are
    made by whoever comes first: while their shard is at work, this process waits.

    Raises:
        LampbenchError: an input is bad; what was finished before stays in the cache.
    """
    executor = plan.executor
    users: Sequence[User] = executor.dataset.test_users
    if shard != ALL_USERS:
        users = [user for user in users if user.id in shard]
    needed = plan.stages if shard == ALL_USERS else make_stages(plan.spec, users)
    own = _own_parts(plan, shard, some_users=bool(users))
    cached = []
    for stage, part, behind in zip(plan.stages, own, needed, strict=True):
        cached.append(build(plan, stage, shard) if part.owners else 0)
        others = {shard_index(owner.id, shard.count) for owner in behind.owners} - {shard.index}
        for index in sorted(others) if users and not stage.of_task else []:
            build(plan, stage, Shard(index, shard.count))
    predictions, usage = predict(plan, users, shard)
    costs = [_cost(plan, part, count) for part, count in zip(own, cached, strict=True)]
    usage.seconds = round(usage.seconds, 3)
    answered = StageCost(
        stage=PREDICT, key=plan.folder.name, units=len(predictions), cached=0, **asdict(usage)
    )
    return ShardAnswers(predictions, [*costs, answered], dict(executor.failed_users))


def _own_parts(plan: Plan, shard: Shard, *, some_users: bool) -> list[Stage]:
    """A shard's part of every stage; without test users, only what training users' prompts need."""
    parts = [stage.part(shard) for stage in plan.stages]
    if some_users:
        return parts
    first = next((i for i, stage in enumerate(plan.stages) if stage.of_task), 0)
    return [*parts[:first], *(Stage(stage.recipe, ()) for stage in plan.stages[first:])]


def build(plan: Plan, stage: Stage, shard: Shard = ALL_USERS) -> int:
    """Make a stage's missing artifacts for a shard; each is stored as soon as it is complete.

    A task's artifact is made by one process, whichever shards there are; the others wait.

    Returns:
        How many were there already.
    """
    executor, part = plan.executor, stage.part(shard)
    place = UNDIVIDED if stage.of_task else (shard.index, shard.count)
    cache, lock = executor.cache, executor.keys.shared(stage.recipe)
    if not part.missing(executor):  # then there is nothing to wait for
        return _reuse(plan, part, place, partial(cache.drop_if_free, lock=lock), complete=True)
    what = f"{stage.name} of {plan.spec.task.name}"
    if stage.of_task:
        shard = ALL_USERS
    elif shard != ALL_USERS:
        what += f", shard {shard}"
    with cache.lock(lock, what, shard):
        missing = _feasible(plan, stage.recipe, part.missing(executor))
        cached = _reuse(plan, part, place, cache.drop_finished, complete=not missing)
        if missing:
            _make(plan, part, place, missing, cached)
    return cached


def _reuse(
    plan: Plan,
    part: Stage,
    place: StagePart,
    drop: Callable[[str, Iterable[str]], object],
    *,
    complete: bool,
) -> int:
    """Take what is made of a part of a stage; returns how many artifacts.

    `drop` deletes what killed processes left of these, and `complete` says that nothing else is to
    be made.
    """
    executor, made = plan.executor, part.made(plan.executor)
    drop(part.name, (executor.keys.of(part.recipe, owner) for owner in made))
    executor.books.reuse(part.recipe, made)
    if complete:
        title = stage_title(plan, part.name)
        executor.progress.reuse(title, len(made), run=plan.folder.name, part=place)
    return len(made)


def _make(plan: Plan, part: Stage, place: StagePart, missing: Sequence[Owner], cached: int) -> None:
    """Make the missing artifacts of a part of a stage, whose lock is held."""
    executor, title = plan.executor, stage_title(plan, part.name)
    executor.progress.start(
        title, len(missing), part.unit, run=plan.folder.name, part=place, cached=cached
    )
    executor.books.meter.start()
    with told_as_the_plugins(f"{part.name} of method {plan.method.name}"):
        for done, _ in enumerate(_built(plan, part.recipe, missing), start=1):
            executor.progress.update(done)
    executor.progress.finish(f"{cached} cached" if cached else "")


def _feasible(plan: Plan, recipe: Recipe, owners: Sequence[Owner]) -> Sequence[Owner]:
    """Owners without those who need what failed users do not have; these are left out of the run.

    Raises:
        LampbenchError: nobody is left, or the task's artifact needs a failed user's.
    """
    executor = plan.executor
    users = [owner for owner in owners if isinstance(owner, User)]
    if owners and not users:
        require_lenders(executor, recipe)
    parts = [recipe, *([plan.method.prompting] if recipe.uses_prompting else [])]
    leave_out_borrowers(executor, recipe.section, parts, users)
    return [owner for owner in owners if owner.id not in executor.failed_users]


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
                f"Prediction; {_fix(plan)}"
            )
        if not isinstance(prediction.text, str):
            raise LampbenchError(
                f"method {plan.method.name} answered query {prediction.query!r} of user "
                f"{prediction.user!r} with {prediction.text!r:.80}, which is not text; "
                f"{_fix(plan)}"
            )
        yield prediction


def _fix(plan: Plan) -> str:
    return f"fix its predict() at {place_of_function(type(plan.method).predict)}"


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
    plan: Plan, asked_users: Sequence[User] | None = None, shard: Shard = ALL_USERS
) -> tuple[Sequence[Prediction], Usage]:
    """Answer every query of some users (None: all test users), in the order of the users.

    Where there are many the predictions are on disk.

    Raises:
        LampbenchError: the method failed, or returned something else than one prediction per
            query.
    """
    executor = plan.executor
    given = executor.dataset.test_users if asked_users is None else asked_users
    parts = [plan.method.prompting, *plan.method.parts().values()]
    leave_out_borrowers(executor, PREDICT, parts, given)
    total = sum(len(u.queries) for u in given if u.id not in executor.failed_users)
    title, part = stage_title(plan, PREDICT), (shard.index, shard.count)
    executor.books.meter.start()
    if not total:
        executor.progress.reuse(title, 0, run=plan.folder.name, part=part)
        return [], executor.books.meter.take()
    executor.progress.start(title, total, "queries", run=plan.folder.name, part=part)
    found = on_disk()
    users = (user for user in given if user.id not in executor.failed_users)
    while group := list(islice(users, AT_ONCE)):
        answers = _answered(plan, group, len(found))
        # the first of a run is recorded, which is the first of some group
        found.extend(answers[:1])
        found.extend(replace(one, prompt_head=()) for one in answers[1:])
        executor.books.close_group()
        if len(given) > AT_ONCE:
            gc.collect()  # journals refer to each other; left alone, they pile up over groups
    executor.progress.finish()
    return found, executor.books.meter.take()


def _answered(plan: Plan, users: Sequence[User], before: int) -> list[Prediction]:
    """The answers to every query of a group of users, in order; `before` were answered earlier."""
    queries = {(user.id, query.id): query for user in users for query in user.queries}
    answered: dict[tuple[str, str], Prediction] = {}
    for prediction in _predictions(plan, users):
        asked = (prediction.user, prediction.query)
        if asked not in queries:
            raise LampbenchError(
                f"method {plan.method.name} returned a prediction for unknown query {asked[1]!r} "
                f"of user {asked[0]!r}; {_fix(plan)}"
            )
        if asked in answered:
            raise LampbenchError(
                f"method {plan.method.name} returned two predictions for query {asked[1]!r} of "
                f"user {asked[0]!r}; {_fix(plan)}"
            )
        answered[asked] = prediction
        plan.executor.progress.update(before + len(answered))
    if missing := queries.keys() - answered.keys():
        user, query = sorted(missing)[0]
        raise LampbenchError(
            f"method {plan.method.name} returned no prediction for {len(missing)} queries, first "
            f"{query!r} of user {user!r}; {_fix(plan)}"
        )
    return [answered[asked] for asked in queries]


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
        key=executor.keys.joint(stage.recipe, stage.owners) if owners else "",
        units=len(owners),
        cached=cached,
        **sums,
    )
