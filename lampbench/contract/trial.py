"""One run of a method for a check: on made-up users, in a cache of its own, recorded nowhere."""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lampbench.contract.echo_engine import EchoPool, KillSwitch
from lampbench.core.dataset import Dataset, User
from lampbench.core.fidelity import PAPER
from lampbench.core.task import Task
from lampbench.engine.pool import EngineOptions
from lampbench.engine.protocol import Completion, GenerateRequest
from lampbench.execution.cache import Cache
from lampbench.execution.engines import Engines
from lampbench.execution.executor import Executor
from lampbench.execution.make_answers import build, predict
from lampbench.execution.plan import Plan, make_plan
from lampbench.execution.specification import RunSpecification
from lampbench.paper.presets import defaults
from lampbench.plugin.hyperparameter import Setting, SourcedValue, ValueSources
from lampbench.plugin.method import Method
from lampbench.util.errors import LampbenchError
from lampbench.util.progress import Progress

Answers = dict[tuple[str, str], str]
"""The text that answers each query, by user and query."""

_MOST = {"max_new_tokens": 8, "epochs": 1}
_LEAST = {"batch_size": 4}
"""Bounds in trials, by the last word of a hyper-parameter's path, so that they take a second."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a trial is run; nothing but `seed` and `values` may change its answers.

    With `one_by_one`, each user's artifacts and answers are asked for in calls of their own; with
    `only`, the id of a user, nobody else's answers are. `reversed_users` hands the users over in
    the opposite order. `values` are hyper-parameters.
    """

    one_by_one: bool = False
    only: str | None = None
    reversed_users: bool = False
    seed: int = 0
    batch_size: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a trial gave: answers, the run's key, how often it could have been killed, and the
    `FILE:LINE` of each call of `context.answer` that was for one user only.
    """

    answers: Answers
    key: str
    settings: Mapping[str, Setting]
    moments: int
    single_asks: tuple[str, ...]


class _TrialCache(Cache):
    """A cache whose process can be killed after any artifact."""

    switch = KillSwitch()

    def commit(self, kind: str, key: str, payload: Path | None, meta: dict[str, Any]) -> None:
        super().commit(kind, key, payload, meta)
        self.switch.tick()


class _TrialExecutor(Executor):
    """An executor that knows which calls of `answer` were for one user only."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.single_asks: list[str] = []

    def answer(
        self, work: Iterable[tuple[User, Iterable[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        given = list(work)
        if len({user.id for user, _ in given}) == 1:
            caller = sys._getframe(1)
            self.single_asks.append(f"{caller.f_code.co_filename}:{caller.f_lineno}")
        return super().answer(given)


def settings_for(
    method: Method, task: Task, values: Mapping[str, Any]
) -> tuple[Method, dict[str, Setting]]:
    """The method with its hyper-parameters, budgets cut to what a trial needs.

    Raises:
        LampbenchError: a hyper-parameter has no value, or one that does not fit.
    """
    usual = defaults("small", task)
    _, settings = method.resolved(ValueSources({}, usual))
    cut: dict[str, SourcedValue] = {}
    for path, setting in settings.items():
        last = path.rpartition(".")[2]
        for bounds, bounded in ((_MOST, min), (_LEAST, max)):
            if last in bounds and isinstance(setting.value, int):
                cut[path] = SourcedValue(bounded(setting.value, bounds[last]), "the trial")
    given = {path: SourcedValue(value, "the trial") for path, value in values.items()}
    return method.resolved(ValueSources(cut | given, usual))


def trial_plan(
    method: Method,
    task: Task,
    dataset: Dataset,
    model: str,
    engines: Engines,
    cache: Path,
    conditions: Conditions,
) -> Plan:
    """The plan of a trial."""
    ready, settings = settings_for(method, task, conditions.values)
    spec = RunSpecification(ready, task, dataset, model, PAPER, conditions.seed)
    quiet = Progress(io.StringIO())
    executor = _TrialExecutor(spec, _TrialCache(cache, quiet.say), engines, quiet)
    return make_plan(executor, settings, {}, "small", cache / "results")


def carry_out(plan: Plan, conditions: Conditions, switch: KillSwitch | None = None) -> Outcome:
    """Build what the plan needs and answer.

    Raises:
        Killed: `switch` said so; the cache keeps what was finished.
        LampbenchError: the plugin is at fault; or an artifact is missing after its build.
    """
    executor = plan.executor
    assert isinstance(executor, _TrialExecutor) and isinstance(executor.cache, _TrialCache)
    executor.cache.switch = switch = switch or KillSwitch()
    if isinstance(executor.engines, EchoPool):
        executor.engines.engine.switch = switch
    order = -1 if conditions.reversed_users else 1
    for stage in plan.stages:
        for owners in _groups(stage.owners[::order], conditions):
            part = replace(stage, owners=owners)
            build(plan, part)
            if missing := part.missing(executor):
                raise LampbenchError(
                    f"build() of {type(stage.recipe).__name__} ended without an artifact of "
                    f"{missing[0].id}: store it with context.put or context.train_users before "
                    "yielding the user"
                )
    answers: Answers = {}
    asked = [
        user for user in executor.dataset.test_users[::order]
        if conditions.only in (None, user.id)
    ]  # fmt: skip
    for users in _groups(asked, conditions):
        predictions, _ = predict(plan, users)
        answers |= {(one.user, one.query): one.text for one in predictions}
    alone = tuple(executor.single_asks)
    return Outcome(answers, plan.folder.name, plan.settings, switch.count, alone)


def training_prompts(plan: Plan) -> dict[tuple[str, str], str]:
    """The text of each test user's prompt for each past record, by user and record; the plan has
    been carried out.
    """
    executor = plan.executor
    return {
        (user.id, record.id): executor.prompt(user, record).text
        for user in executor.dataset.test_users
        for record in user.history
    }


def _groups(owners: Sequence[Any], conditions: Conditions) -> list[tuple[Any, ...]]:
    return [(one,) for one in owners] if conditions.one_by_one else [tuple(owners)]


_IN_MEMORY = Path("/dev/shm")


@contextmanager
def trial_folder() -> Iterator[Path]:
    """A temporary folder for a trial's cache: in memory where the system has such a place, since
    a cache waits for the disk after each artifact.
    """
    home = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
    with TemporaryDirectory(prefix="lampbench-trial-", dir=home) as folder:
        yield Path(folder)


def echo_key(
    method: Method, task: Task, dataset: Dataset, model: str, conditions: Conditions
) -> str:
    """The key that a trial's run would have."""
    with trial_folder() as folder:
        plan = trial_plan(method, task, dataset, model, EchoPool(model), folder, conditions)
        return plan.folder.name


def echo_trial(
    method: Method,
    task: Task,
    dataset: Dataset,
    model: str,
    conditions: Conditions | None = None,
    cache: Path | None = None,
    switch: KillSwitch | None = None,
) -> Outcome:
    """A trial on the engine that echoes requests, in a new cache unless one is given."""
    conditions = conditions or Conditions()
    engines = EchoPool(model, EngineOptions(batch_size=conditions.batch_size))
    with trial_folder() as folder:
        plan = trial_plan(method, task, dataset, model, engines, cache or folder, conditions)
        return carry_out(plan, conditions, switch)
