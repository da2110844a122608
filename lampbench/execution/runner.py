"""The runner: build what is missing, answer, score, record. Read it from top to bottom."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from lampbench.core.dataset import Query
from lampbench.execution.executor import PREDICTIONS
from lampbench.execution.fill_manifest import describe
from lampbench.execution.make_answers import make_answers
from lampbench.execution.plan import Plan
from lampbench.execution.reference_parser import reference_parse
from lampbench.execution.shard_answers import (
    ShardAnswers,
    complete_division,
    drop_answers,
    read_all_answers,
)
from lampbench.execution.stage_titles import SCORE, all_is_made, stage_title
from lampbench.plugin.method import Prediction
from lampbench.plugin.prompting import plain_prompt
from lampbench.record.dataset_files import record_dataset
from lampbench.record.private import without_texts
from lampbench.record.recorded_run import read_run
from lampbench.record.run_lock import run_lock
from lampbench.record.unused_files import remove_unused_files
from lampbench.record.write import write_run
from lampbench.scoring import (
    METRICS,
    HistoriesInOrder,
    PredictionRow,
    Scoring,
    score_predictions,
)
from lampbench.util.disk_list import DiskList
from lampbench.util.errors import LampbenchError

_REWARD_DIGITS = 3


def execute(
    plan: Plan, command: str, results: Path, force: bool = False, *, replace_run: bool = False
) -> Path:
    """Carry out a plan and record the run; a run that is recorded already is left as it is.

    Where all shards of the run have been answered, their answers are recorded. `force` predicts and
    scores again and replaces the record; trained artifacts, which the same key would make again to
    the byte, are kept. `replace_run` replaces the record too, and takes the answers at hand.

    Returns:
        The folder of the recorded run.

    Raises:
        DamagedRun: the run is recorded already, and is not what was written.
        LampbenchError: an input is bad; what was finished before stays in the cache.
    """
    with run_lock(plan.folder, plan.executor.progress.say):
        if not _recorded(plan, again=force or replace_run):
            with _answers_lock(plan):
                if force:
                    forget_answers(plan)
                _execute(plan, command, results, force or replace_run)
    return plan.folder


def record_shards(plan: Plan, command: str, results: Path, *, replace_run: bool = False) -> bool:
    """Record a run that shards have answered; no model is asked.

    Returns:
        Whether it is recorded. It is not where answers are missing: another process may have
        recorded the same run in another folder, which drops the answers.

    Raises:
        DamagedRun: the run is recorded already, and is not what was written.
        LampbenchError: an input is bad.
    """
    with run_lock(plan.folder, plan.executor.progress.say):
        if _recorded(plan, again=replace_run):
            return True
        with _answers_lock(plan):
            if complete_division(plan) is None:
                return False
            _execute(plan, command, results, replace_run)
    return True


def _recorded(plan: Plan, *, again: bool) -> bool:
    """Whether the run is recorded already and is not to be recorded `again`."""
    if not plan.done or again:
        return False
    accept_record(plan)
    executor, name = plan.executor, plan.folder.name
    # a killed process left it
    executor.cache.drop_if_free(PREDICTIONS, [name], f"run-{name}")
    return True


def _answers_lock(plan: Plan) -> AbstractContextManager[None]:
    """Another folder of results may be given the same run over this cache."""
    return plan.executor.cache.lock(f"run-{plan.folder.name}", f"answers of {plan.title}")


def forget_answers(plan: Plan) -> None:
    """Delete the answers that a run or its shards have received so far."""
    plan.executor.cache.drop_partial(PREDICTIONS, plan.folder.name)
    drop_answers(plan)


def _first_failure(answers: ShardAnswers) -> str:
    return next((f"user {who}: {why}" for who, why in answers.failed_users.items()), "no query")


def _execute(plan: Plan, command: str, results: Path, replace_run: bool) -> None:
    executor = plan.executor
    count = complete_division(plan)
    answers = read_all_answers(plan, count) if count else make_answers(plan)
    executor.failed_users.update(answers.failed_users)
    all_is_made(plan)
    if not answers.predictions:
        raise LampbenchError(f"{plan.title}: every user failed: {_first_failure(answers)}")
    rows = DiskList(_rows(plan, answers.predictions))
    head, costs = answers.predictions[0].prompt_head, answers.costs
    del answers  # the rows have what is recorded of them
    title = stage_title(plan, SCORE)
    executor.progress.start(title, len(rows), "answers", run=plan.folder.name)
    task = executor.task
    past = HistoriesInOrder(executor.dataset.test_users)
    scoring = Scoring((*METRICS, *task.metrics), plan.spec.plugins, past, task.choices)
    scores = score_predictions(rows, executor.progress.update, scoring)
    executor.progress.finish()
    private = plan.spec.private
    dataset = record_dataset(results, executor.dataset, task, private=private)
    manifest = describe(plan, costs, rows, head, command, dataset, scoring.describe())
    if private:
        # the first prompt's tokens are text
        service = manifest.service and manifest.service.without_requests()
        manifest = replace(manifest, private=True, prompt_head=(), service=service)
        rows = DiskList(without_texts(row) for row in rows)
    write_run(results, manifest, rows, scores, replace=replace_run, metrics=scoring.load())
    if private:
        remove_unused_files(results, task.name)  # those of a record with texts
    forget_answers(plan)


def accept_record(plan: Plan) -> None:
    """Say that the run is recorded already, and where its record has no texts that are not there.

    Raises:
        DamagedRun: the recorded run is damaged.
        LampbenchError: the recorded run is not private, and the plan is; or it lacks the rewards
            that the plan asks for.
    """
    recorded = read_run(plan.folder)
    contrasts = bool(plan.spec.method.decoding.sides)
    asked = plan.spec.rewards and contrasts and not plan.spec.private
    # an empty answer has none
    if asked and not all(row.rewards or not row.new_tokens for row in recorded.predictions):
        raise LampbenchError(
            f"{plan.folder}: recorded already, without rewards; add --force to record it again "
            "with them"
        )
    if not recorded.manifest.private and plan.spec.private:
        raise LampbenchError(
            f"{plan.folder}: recorded already, with its texts; add --force to record it again "
            "without them"
        )
    if recorded.manifest.private and not plan.spec.private:
        found = "already recorded, without texts (--private)"
        remedy = "--force runs it again and records them"
    else:
        found, remedy = "already recorded", "--force runs it again"
    plan.executor.progress.say(f"{found}: {plan.folder} ({remedy})")


def _rows(plan: Plan, predictions: Iterable[Prediction]) -> Iterator[PredictionRow]:
    """Predictions beside their references, parsed as the reference code does where asked."""
    rest = iter(predictions)
    one = next(rest, None)
    for user in plan.executor.dataset.test_users:
        for query in user.queries:
            # predictions are in this order, and failed users have none
            if one is not None and (one.user, one.query) == (user.id, query.id):
                yield _row(plan, one, query)
                one = next(rest, None)
    if one is not None:
        raise AssertionError("predictions are not in the order of the users")


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
