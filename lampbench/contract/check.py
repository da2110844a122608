"""Checking a plugin: the one function behind `lampbench check` and the pytest plugin."""

from collections.abc import Callable, Iterator, Sequence

from lampbench.contract.fresh_copy import forget_copies
from lampbench.contract.method_checks import METHOD_CHECKS, check_method
from lampbench.contract.method_trials import MethodTrials
from lampbench.contract.metric_checks import METRIC_CHECKS, MetricTrials, check_metric
from lampbench.contract.other_process import trial_task
from lampbench.contract.subject import Subject, find_subject
from lampbench.contract.task_checks import TASK_CHECKS, TaskTrials, check_task
from lampbench.contract.verdict import CheckResult
from lampbench.contract.workshop import Workshop


def checks_of(kind: str) -> tuple[str, ...]:
    """The names of the checks of a kind of plugin, in the order in which they are made."""
    if kind == "task":
        return tuple(TASK_CHECKS)
    return tuple(METRIC_CHECKS if kind == "metric" else METHOD_CHECKS)


def examination(subject: Subject, workshop: Workshop, task: str | None = None) -> "Examine":
    """A function from the name of a check to its verdict; trials are shared between checks.

    Methods and parts are tried on the task of that name, or on one made up for checks.
    """
    if subject.kind == "task":
        tasks = TaskTrials(subject, workshop)
        return lambda check: check_task(tasks, check)
    if subject.kind == "metric":
        metrics = MetricTrials(subject, workshop)
        return lambda check: check_metric(metrics, check)
    methods = MethodTrials(subject, trial_task(task, subject.plugins), task, workshop)
    return lambda check: check_method(methods, check)


Examine = Callable[[str], CheckResult]


def check_plugin(
    kind: str,
    wanted: str | type,
    workshop: Workshop,
    *,
    plugins: Sequence[str] = (),
    task: str | None = None,
) -> Iterator[CheckResult]:
    """Every check of a plugin, each as soon as it is made.

    Raises:
        LampbenchError: there is no such kind, plugin or task.
    """
    subject = find_subject(kind, wanted, plugins)
    examine = examination(subject, workshop, task)
    try:
        for check in checks_of(kind):
            yield examine(check)
    finally:
        forget_copies(subject.found)
