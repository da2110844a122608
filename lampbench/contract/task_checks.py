"""The contract of tasks: one function per check."""

import re
import string
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property

from lampbench.contract.card import check_card
from lampbench.contract.fresh_copy import fresh_copy
from lampbench.contract.subject import Subject
from lampbench.contract.trial import Outcome, echo_trial
from lampbench.contract.trial_data import trial_dataset
from lampbench.contract.verdict import CheckResult, failed, passed, skipped
from lampbench.contract.workshop import Workshop
from lampbench.core.dataset import Dataset, User
from lampbench.core.prompt import Prompt
from lampbench.core.task import Task
from lampbench.plugin.fault import fault_of_plugin
from lampbench.plugin.method import Method
from lampbench.plugin.prompting import RetrievalAugmented
from lampbench.util.errors import LampbenchError

_LONG = "a long field " * 400
"""Longer than the tiny model's context."""


class _Plain(Method):
    """The task's prompt alone."""

    name = "trial_plain"


class _Quoting(Method):
    """Past records quoted before it."""

    name = "trial_quoting"
    prompting = RetrievalAugmented(k=2)


class TaskTrials:
    """A task under examination."""

    def __init__(self, subject: Subject, workshop: Workshop) -> None:
        self.subject = subject
        self.workshop = workshop

    def fresh(self) -> Task:
        """The task, from its file executed once more."""
        made: Task = fresh_copy(self.subject.found)()
        return made

    @cached_property
    def task(self) -> Task:
        """The task as it was loaded."""
        made: Task = self.subject.found()
        return made

    @cached_property
    def data(self) -> Dataset:
        """Users of the task."""
        return trial_dataset(self.task)

    def echo(self, task: Task, method: Method) -> Outcome:
        """A trial of a method on the task."""
        return echo_trial(method, task, self.data, str(self.workshop.model))


def _card(trials: TaskTrials) -> CheckResult:
    return check_card(trials.subject)


def _declaration(trials: TaskTrials) -> CheckResult:
    """What is declared fits together."""
    wrong = list(_contradictions(trials.task))
    if wrong:
        return failed("declaration", f"{trials.subject.place}: {'; '.join(wrong)}")
    return passed("declaration", f"{len(trials.task.fields)} fields, prompts and formats agree")


def _contradictions(task: Task) -> Iterator[str]:
    known = {*task.fields, *task.optional}
    if task.target_name in known or "target" in known:
        yield f"{task.target_name!r} is what is to be written: take it out of `fields`"
    if task.fields and task.shorten not in known:
        yield f"`shorten` is {task.shorten!r}: name one of {', '.join(sorted(known))}"
    if task.max_new_tokens < 1:
        yield "`max_new_tokens` must be at least 1"
    if task.family not in ("lamp", "longlamp"):
        yield f"`family` is {task.family!r}: choose lamp or longlamp"
    for name, allowed in (("template", known), ("example", {*known, "target"})):
        with suppress(ValueError):
            used = {field for _, field, _, _ in string.Formatter().parse(getattr(task, name))
                    if field is not None}  # fmt: skip
            if unknown := sorted(used - allowed):
                yield f"`{name}` has {{{unknown[0]}}}, which is none of the fields"
            elif name == "template" and (unused := sorted(set(task.fields) - used)):
                yield f"`template` does not show the field {unused[0]!r}"
            elif name == "example" and task.records_are_examples and "target" not in used:
                yield "`example` does not show {target}, what the user wrote"
    if task.files is not None:
        yield from _contradictions_of_files(task)


def _contradictions_of_files(task: Task) -> Iterator[str]:
    assert task.files is not None
    try:
        groups = set(re.compile(task.files.input).groupindex)
    except re.error as error:
        yield f"`files.input` is no regular expression: {error}"
        return
    if groups and (missing := sorted(set(task.fields) - groups)):
        yield f"`files.input` has no group for the field {missing[0]!r}"
    if unknown := sorted(set(task.files.record) - {*task.fields, *task.optional}):
        yield f"`files.record` names {unknown[0]!r}, which is none of the fields"


def _prompts(trials: TaskTrials) -> CheckResult:
    """Prompts show every field in full, change nothing, and are the same each time."""
    check, task = "prompts", trials.task
    for user in trials.data.test_users:
        for item in user.queries:
            given = dict(item.fields)
            prompt = task.prompt(given)
            if not isinstance(prompt, Prompt):
                return failed(check, f"prompt() returned {prompt!r:.60}, which is not a Prompt")
            if given != item.fields:
                return failed(check, "prompt() changes the fields that it is given")
            absent = [name for name in task.fields if given[name] not in prompt.text]
            if absent:
                return failed(check, f"the prompt does not show the field {absent[0]!r} in full")
            if prompt != trials.fresh().prompt(given):
                return failed(check, "prompt() gives two prompts for the same fields")
        for record in user.history:
            text = task.show(record)
            if not isinstance(text, str):
                return failed(check, f"show() returned {text!r:.60}, which is not a text")
            if task.records_are_examples and record.target not in text:
                return failed(check, f"show() returned {text!r:.60}, without the record's target")
    shown = ", every past record with its target" if task.records_are_examples else ""
    return passed(check, f"every field in full{shown}")


def _shortening(trials: TaskTrials) -> CheckResult:
    """A text longer than the context is shortened and answered."""
    if not trials.task.fields:
        return skipped("shortening", "the task has no field")
    user = trials.data.test_users[0]
    long = {**user.queries[0].fields, trials.task.shorten: _LONG}
    query = replace(user.queries[0], fields=long)
    data = replace(trials.data, test_users=(User(user.id, user.history, (query,)),))
    try:
        trials.workshop.model_trial(_Plain(), trials.task, data)
    except LampbenchError as error:
        return failed("shortening", f"a query longer than the model's context: {error}")
    return passed("shortening", f"a long {trials.task.shorten!r} fits into a short context")


def _runs(trials: TaskTrials) -> CheckResult:
    for method in (_Plain(), _Quoting()):
        trials.echo(trials.task, method)
        trials.workshop.model_trial(method, trials.task, trials.data)
    return passed("runs", "answered with the task's prompt alone and with past records quoted")


def _determinism(trials: TaskTrials) -> CheckResult:
    expected = trials.echo(trials.fresh(), _Quoting())
    for found in (trials.echo(trials.fresh(), _Quoting()), trials.echo(trials.task, _Quoting())):
        if found.answers != expected.answers:
            return failed(
                "determinism",
                f"{trials.subject.place}: equal runs differ: prompt() and show() must depend on "
                "their arguments alone",
            )
    return passed("determinism", "equal answers in three runs")


TASK_CHECKS: Mapping[str, Callable[[TaskTrials], CheckResult]] = {
    "card": _card,
    "declaration": _declaration,
    "prompts": _prompts,
    "runs": _runs,
    "shortening": _shortening,
    "determinism": _determinism,
}
"""By name, in the order in which they are made."""


def check_task(trials: TaskTrials, check: str) -> CheckResult:
    """The verdict of one check."""
    try:
        return TASK_CHECKS[check](trials)
    except LampbenchError as error:
        return failed(check, str(error))
    except Exception as error:  # a plugin may fail in any way
        told = fault_of_plugin(error) or f": {type(error).__name__}: {error}"
        return failed(check, f"{trials.subject.place}: failed {told}")
