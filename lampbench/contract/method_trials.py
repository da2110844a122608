"""The trials of a method that its checks compare.

Each trial starts with a fresh copy of the plugin's module, so that one check's trial leaves
nothing behind for another's, except where that is what is tested.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lampbench.contract.echo_engine import KillSwitch
from lampbench.contract.fresh_copy import source_of
from lampbench.contract.subject import Subject
from lampbench.contract.trial import Answers, Conditions, Outcome, echo_key, echo_trial
from lampbench.contract.trial_data import trial_dataset
from lampbench.contract.workshop import Workshop
from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.plugin.method import Method
from lampbench.util.errors import LampbenchError


class MethodTrials:
    """A method or part under examination, and the trials that several checks need."""

    def __init__(
        self, subject: Subject, task: Task, task_name: str | None, workshop: Workshop
    ) -> None:
        self.subject = subject
        self.task = task
        self.task_name = task_name
        self.workshop = workshop
        self.data = trial_dataset(task, min_history=subject.method().min_history)
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
        return bool(difference_between(self.answered, self.on_model(both)))

    def difference(self, conditions: Conditions) -> str:
        """How answers differ under conditions that must change none; empty if they do not."""
        only = conditions.only
        found = difference_between(self.echoed, self.echo(conditions=conditions), only)
        if not found and self._differs_on_model:
            found = difference_between(self.answered, self.on_model(conditions), only)
        return found

    def change(
        self,
        method: Method | None = None,
        data: Dataset | None = None,
        cache: Path | None = None,
    ) -> str:
        """How a trial on the echo engine, which must answer as usual, differs; empty if not."""
        try:
            return difference_between(self.echoed, self.echo(method, data, cache=cache))
        except LampbenchError as error:
            return f"it failed: {error}"

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


def difference_between(expected: Outcome, found: Outcome, only: str | None = None) -> str:
    """The first query, of one user or of all, whose answers differ, in words; empty if none."""
    return _differing(expected.answers, found.answers, only)


def _differing(expected: Answers, found: Answers, only: str | None = None) -> str:
    for (user, query), text in sorted(expected.items()):
        other = found.get((user, query))
        if other != text and only in (None, user):
            return f"query {query!r} of user {user!r} is answered {other!r:.60}, not {text!r:.60}"
    return ""
