"""The contract of methods, and of parts inside a method: one function per check.

Each trial starts with a fresh copy of the plugin's module, so that one check's trial leaves
nothing behind for another's, except where that is what is tested.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lampbench.contract.card import check_card
from lampbench.contract.echo_engine import EchoPool, Killed, KillSwitch
from lampbench.contract.fresh_copy import source_of
from lampbench.contract.pointers import chance_lines, memory_lines
from lampbench.contract.subject import Subject
from lampbench.contract.trial import (
    Answers,
    Conditions,
    Outcome,
    echo_key,
    echo_trial,
    training_prompts,
    trial_folder,
    trial_plan,
)
from lampbench.contract.trial_data import SENTINEL, trial_dataset, watched, with_references
from lampbench.contract.undeclared_constants import check_constants
from lampbench.contract.vary_hyperparameters import check_hyperparameters
from lampbench.contract.verdict import CheckResult, failed, note, passed, skipped
from lampbench.contract.workshop import Workshop
from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.plugin.fault import told_as_the_plugins
from lampbench.plugin.method import Method
from lampbench.util.errors import LampbenchError

_MOMENTS = 5
"""Kills per check, spread over the run."""


class MethodTrials:
    """A method or part under examination, and the trials that several checks need."""

    def __init__(
        self, subject: Subject, task: Task, task_name: str | None, workshop: Workshop
    ) -> None:
        self.subject = subject
        self.task = task
        self.task_name = task_name
        self.workshop = workshop
        self.data = trial_dataset(task)
        self.file: Path | None = source_of(subject.found)

    def echo(
        self,
        method: Method | None = None,
        data: Dataset | None = None,
        conditions: Conditions | None = None,
        cache: Path | None = None,
        switch: KillSwitch | None = None,
    ) -> Outcome:
        """A trial on the echo engine; of a fresh copy unless a method is given."""
        return echo_trial(
            method or self.subject.fresh(), self.task, data or self.data,
            str(self.workshop.model), conditions, cache, switch,
        )  # fmt: skip

    def key(self, values: Mapping[str, Any]) -> str:
        """The key of a run with some hyper-parameters."""
        method, model = self.subject.method(), str(self.workshop.model)
        return echo_key(method, self.task, self.data, model, Conditions(values=values))

    def on_model(self, conditions: Conditions | None = None) -> Outcome:
        """A trial of a fresh copy on the tiny model."""
        return self.workshop.model_trial(self.subject.fresh(), self.task, self.data, conditions)

    @cached_property
    def echoed(self) -> Outcome:
        """What the other trials on the echo engine are compared with."""
        return self.echo()

    @cached_property
    def answered(self) -> Outcome:
        """What the other trials on the tiny model are compared with."""
        return self.on_model()

    @cached_property
    def _differs_on_model(self) -> bool:
        """Whether the tiny model answers otherwise with all at once: users one by one and reversed.

        If it does not, it does under neither condition, and equal runs are equal.
        """
        both = Conditions(one_by_one=True, reversed_users=True)
        return bool(_difference(self.answered, self.on_model(both)))

    def difference(self, conditions: Conditions) -> str:
        """How answers differ under conditions that must change none; empty if they do not."""
        only = conditions.only
        found = _difference(self.echoed, self.echo(conditions=conditions), only)
        if not found and self._differs_on_model:
            found = _difference(self.answered, self.on_model(conditions), only)
        return found

    @cached_property
    def fault(self) -> str:
        """Why the method does not run; empty if it does."""
        try:
            _ = self.echoed, self.answered
        except LampbenchError as error:
            return str(error)
        return ""

    @cached_property
    def other_answers(self) -> Answers:
        """The answers of the echo engine in another process."""
        return self.workshop.other_process.answers(
            self.subject, self.task_name, self.workshop.model
        )

    @cached_property
    def unsteady(self) -> str:
        """How two equal runs differ; empty if they do not."""
        found = self.difference(Conditions())
        if not found and self.subject.by_name:
            found = _differing(self.echoed.answers, self.other_answers)
        return found


def card(trials: MethodTrials) -> CheckResult:
    """Title, description, source, and the meaning of each hyper-parameter."""
    return check_card(trials.subject)


def runs(trials: MethodTrials) -> CheckResult:
    """It answers every query once, on two engines."""
    if trials.fault:
        hint = ""
        if "has no value" in trials.fault:
            hint = '; in the plugin, give it one: hyper("...", default=...)'
        return failed("runs", f"{trials.fault}{hint}")
    return passed("runs", f"answers {len(trials.echoed.answers)} queries of 3 users")


def determinism(trials: MethodTrials) -> CheckResult:
    """Equal runs give equal answers, also in another process."""
    if trials.unsteady:
        lines = chance_lines(trials.file)
        return failed(
            "determinism",
            f"two equal runs differ: {trials.unsteady}. Draw random numbers from "
            "random.Random(seed_from(context.seed, user.id, ...)), sort sets before use, and read "
            f"no clock{f'; look at {lines}' if lines else ''}",
        )
    where = " and in another process" if trials.subject.by_name else ""
    return passed("determinism", f"equal answers in two runs{where}")


def batch(trials: MethodTrials) -> CheckResult:
    """Users alone have the answers that they have together."""
    alone = [Conditions(only=user.id, batch_size=1) for user in trials.data.test_users]
    for conditions in (Conditions(one_by_one=True), *alone):
        if found := trials.difference(conditions):
            return failed(
                "batch",
                f"where users are asked for one at a time, {found}. An answer may depend on its "
                f"own user and on context.dataset, never on who else is in `users`"
                f"{_memory(trials)}",
            )
    return passed("batch", "equal answers for users alone and together")


def order(trials: MethodTrials) -> CheckResult:
    """The order of users changes no answer."""
    check = "order of users"
    if found := trials.difference(Conditions(reversed_users=True)):
        return failed(
            check,
            f"where the users come in the opposite order, {found}. An answer must not depend on "
            f"the users before it{_memory(trials)}",
        )
    turned = replace(trials.data, test_users=trials.data.test_users[::-1])
    if found := _difference(trials.echoed, trials.echo(data=turned)):
        return failed(
            check,
            f"where context.dataset has its users in the opposite order, {found}. Choose other "
            "users by their ids, not by their place",
        )
    return passed(check, "equal answers in the opposite order")


def resume(trials: MethodTrials) -> CheckResult:
    """A killed run that is resumed, in a process that remembers nothing, ends as one in one go."""
    for moment in _moments(trials.echoed.moments):
        with trial_folder() as cache:
            with suppress(Killed):
                trials.echo(cache=cache, switch=KillSwitch(moment))
            try:
                found = _difference(trials.echoed, trials.echo(cache=cache))
            except LampbenchError as error:
                found = f"it failed: {error}"
        if found:
            return failed(
                "resume",
                f"resumed after a kill (after result {moment}), {found}. Keep what later stages "
                f"need with context.put, nowhere else{_memory(trials)}",
            )
    count = len(_moments(trials.echoed.moments))
    return passed("resume", f"equal answers after kills at {count} moments")


def _moments(count: int) -> list[int]:
    if count <= _MOMENTS:
        return list(range(count))
    return sorted({round(i * (count - 1) / (_MOMENTS - 1)) for i in range(_MOMENTS)})


def references(trials: MethodTrials) -> CheckResult:
    """What the answers are scored against is out of reach."""
    check = "references"
    seen: set[str] = set()
    trials.echo(data=watched(trials.data, seen))
    if seen:
        return failed(
            check,
            f"{', '.join(sorted(seen))}: reads the reference of a test user's query, which the "
            "answers are scored against; remove it (only a TaskRecipe may read references: those "
            "of context.dataset.train_users)",
        )
    for reference, when in ((SENTINEL, "replaced"), (None, "withheld")):
        try:
            found = _difference(
                trials.echoed, trials.echo(data=with_references(trials.data, reference))
            )
        except LampbenchError as error:
            found = f"it failed: {error}"
        if found:
            return failed(
                check,
                f"where the references of the test users are {when}, {found}. Answers must not "
                "depend on query.reference, by whatever way it is read",
            )
    return passed(check, "equal answers where references are replaced or withheld")


def training(trials: MethodTrials) -> CheckResult:
    """The prompt of a past record, on which weights train, shows neither its target nor later ones.

    A LoRA that is trained on prompts with the answer in them learns to copy.
    """
    check, method = "training prompts", trials.subject.fresh()
    with trial_folder() as cache:
        model = str(trials.workshop.model)
        trials.echo(method, cache=cache)
        plan = trial_plan(
            method, trials.task, trials.data, model, EchoPool(model), cache, Conditions()
        )
        with told_as_the_plugins("a prompt for training"):
            prompts = training_prompts(plan)
    for user in trials.data.test_users:
        for place, record in enumerate(user.history):
            text = prompts[user.id, record.id]
            shown = [later.id for later in user.history[place:] if later.target in text]
            if shown:
                what = "itself" if shown[0] == record.id else f"the later record {shown[0]!r}"
                told = (
                    f"the prompt of the past record {record.id!r} quotes {what}. Weights train on "
                    "these prompts: in render(), quote from before(user, item), not user.history"
                )
                trains = method.adaptation is not None or trials.subject.kind != "method"
                return (failed if trains else note)(check, told)
    return passed(check, "no prompt of a past record shows its target or a later record")


def state(trials: MethodTrials) -> CheckResult:
    """One run leaves nothing behind for the next one in the same process."""
    method, other = trials.subject.fresh(), trial_dataset(trials.task, "another edition")
    try:
        trials.echo(method, other)
        found = _difference(trials.echoed, trials.echo(method))
    except LampbenchError as error:
        found = f"it failed: {error}"
    if found:
        return failed(
            "state",
            f"after a run on other texts of the same users, {found}. Keep nothing on the plugin "
            f"between calls{_memory(trials)}",
        )
    return passed("state", "equal answers after a run on other data in the same process")


def hyperparameters(trials: MethodTrials) -> CheckResult:
    """Each declared hyper-parameter changes the key, and each of the plugin's own the run."""
    return check_hyperparameters(trials.subject, trials.echoed, trials.echo, trials.key)


def constants(trials: MethodTrials) -> CheckResult:
    """Numbers in the file that change answers and are no hyper-parameters."""
    return check_constants(trials.subject, trials.echoed, trials.echo)


def _memory(trials: MethodTrials) -> str:
    lines = memory_lines(trials.file)
    return f"; look at {lines}" if lines else ""


def _difference(expected: Outcome, found: Outcome, only: str | None = None) -> str:
    return _differing(expected.answers, found.answers, only)


def _differing(expected: Answers, found: Answers, only: str | None = None) -> str:
    """The first query, of one user or of all, whose answers differ, in words."""
    for (user, query), text in sorted(expected.items()):
        other = found.get((user, query))
        if other != text and only in (None, user):
            return f"query {query!r} of user {user!r} is answered {other!r:.60}, not {text!r:.60}"
    return ""


METHOD_CHECKS: Mapping[str, Callable[[MethodTrials], CheckResult]] = {
    "card": card,
    "runs": runs,
    "determinism": determinism,
    "batch": batch,
    "order of users": order,
    "resume": resume,
    "references": references,
    "training prompts": training,
    "state": state,
    "hyper-parameters": hyperparameters,
    "constants": constants,
}
"""By name, in the order in which they are made."""


def check_method(trials: MethodTrials, check: str) -> CheckResult:
    """The verdict of one check; where an earlier one makes it meaningless, it is skipped."""
    if check not in ("card", "runs"):
        if trials.fault:
            return skipped(check, "the plugin does not run")
        if check != "determinism" and trials.unsteady:
            return skipped(check, "equal runs differ, so that nothing can be compared")
    try:
        return METHOD_CHECKS[check](trials)
    except LampbenchError as error:
        return failed(check, str(error))
