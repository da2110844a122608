"""The runner: build what is missing, answer, score, record. Read it from top to bottom."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Query
from lampbench.plugin.method import Prediction
from lampbench.record.inputs import write_inputs
from lampbench.record.runs import write_run
from lampbench.run.executor import PREDICTIONS, Usage
from lampbench.run.fill_manifest import describe
from lampbench.run.plan import Plan, Stage
from lampbench.run.reference_parser import reference_parse
from lampbench.scoring import Scoring, histories, score_predictions
from lampbench.util.errors import LampbenchError

_REWARD_DIGITS = 3


def execute(plan: Plan, command: Sequence[str], results: Path, force: bool = False) -> Path:
    """Carry out a plan and record the run; a run that stands recorded is left as it is.

    `force` predicts and scores again and replaces the record; trained artifacts, which the same
    key would make again to the byte, are kept.

    Returns:
        The folder of the recorded run.

    Raises:
        LampbenchError: an input is bad; what was finished before stays in the store.
    """
    with plan.context.cache.lock(plan.folder.name):
        if plan.done and not force:
            say = plan.context.progress.say
            say(f"already recorded: {plan.folder} (--force runs it again)")
        else:
            _execute(plan, command, results, force)
    return plan.folder


def _execute(plan: Plan, command: Sequence[str], results: Path, force: bool) -> None:
    context, run = plan.context, plan.folder.name
    if force:
        context.cache.drop_partial(PREDICTIONS, run)
    cached = [build(plan, stage) for stage in plan.stages]
    predictions, usage = predict(plan)
    costs = [_cost(plan, stage, n) for stage, n in zip(plan.stages, cached, strict=True)]
    answered = {"stage": "predict", "key": run, "units": len(predictions), "cached": 0}
    costs.append({**answered, **asdict(usage), "seconds": round(usage.seconds, 3)})
    title = f"{plan.method.name} {context.task.name}: score"
    context.progress.start(title, len(predictions), "answers")
    scoring = Scoring(histories=histories(context.dataset))
    scores = score_predictions(predictions, context.progress.update, scoring)
    context.progress.finish()
    manifest = {**describe(plan, costs, predictions, command), "scoring": scoring.describe()}
    for row in predictions:
        del row["prompt_head"]
    write_inputs(results, context.dataset)
    write_run(results, manifest, predictions, scores, replace=force)
    context.cache.drop_partial(PREDICTIONS, run)


def build(plan: Plan, stage: Stage) -> int:
    """Make a stage's missing artifacts, each stored as soon as it stands.

    Returns:
        How many were there already.
    """
    context = plan.context
    with context.cache.lock(context.keys.shared(stage.recipe)):
        missing = stage.missing(context)
        cached = len(stage.made(context))
        if missing:
            title = f"{plan.method.name} {context.task.name}: {stage.name}"
            context.progress.start(title, len(missing), stage.unit)
            context.begin()
            for done, _ in enumerate(stage.recipe.build(context, missing), start=1):
                context.progress.update(done)
            context.progress.finish(f"{cached} cached" if cached else "")
    return cached


def predict(plan: Plan) -> tuple[list[dict[str, Any]], Usage]:
    """Answer every test query; predictions stand in the order of the dataset."""
    context = plan.context
    users = [user for user in context.dataset.test_users if user.id not in context.failed_users]
    queries = {(user.id, query.id): query for user in users for query in user.queries}
    title = f"{plan.method.name} {context.task.name}: predict"
    context.progress.start(title, len(queries), "queries")
    context.begin()
    answered: dict[tuple[str, str], Prediction] = {}
    for prediction in plan.method.predict(context, users):
        place = (prediction.user, prediction.query)
        if place not in queries or place in answered:
            raise LampbenchError(
                f"method {plan.method.name} answered query {place[1]!r} of user {place[0]!r} "
                f"{'twice' if place in answered else 'which nobody asked'}: mend its predict()"
            )
        answered[place] = prediction
        context.progress.update(len(answered))
    if missing := queries.keys() - answered.keys():
        user, query = sorted(missing)[0]
        raise LampbenchError(
            f"method {plan.method.name} left {len(missing)} queries unanswered, first "
            f"{query!r} of user {user!r}: mend its predict()"
        )
    context.progress.finish()
    rows = [_row(plan, answered[place], query) for place, query in queries.items()]
    return rows, context.take_usage()


def _row(plan: Plan, prediction: Prediction, query: Query) -> dict[str, Any]:
    context, text = plan.context, prediction.text
    if context.fidelity.parse_outputs:
        prompt = context.task.prompt(query.fields)
        text = reference_parse(context.task, plan.method, context.model, prompt, text)
    row: dict[str, Any] = {
        "user": prediction.user,
        "query": prediction.query,
        "prediction": text,
        "reference": query.reference,
        "prompt_tokens": prediction.prompt_tokens,
        "new_tokens": prediction.new_tokens,
        "prompt_tokens_dropped": prediction.prompt_tokens_dropped,
        "truncated": prediction.truncated,
        "prompt_head": prediction.prompt_head,
    }
    if prediction.quoted:
        row["quoted"] = list(prediction.quoted)
    if prediction.rewards:
        row["tokens"] = list(prediction.tokens)
        row["rewards"] = [round(value, _REWARD_DIGITS) for value in prediction.rewards]
    return row


def _cost(plan: Plan, stage: Stage, cached: int) -> dict[str, Any]:
    """What a stage's artifacts cost when they were made, in this run or an earlier one."""
    context = plan.context
    owners = stage.made(context)
    metas = [context.cache.meta(stage.name, context.keys.of(stage.recipe, owner))
             for owner in owners]  # fmt: skip
    return {
        "stage": stage.name,
        "key": context.keys.joint(stage.recipe, stage.owners),
        "units": len(owners),
        "cached": cached,
        **{name: round(sum(meta["cost"][name] for meta in metas), 3) for name in asdict(Usage())},
    }
