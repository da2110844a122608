"""The contract of metrics: one function per check."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from lampbench.contract.card import check_card
from lampbench.contract.fresh_copy import fresh_copy, source_of
from lampbench.contract.pointers import chance_lines, memory_lines
from lampbench.contract.subject import Subject
from lampbench.contract.trial_answers import trial_answers, trial_values
from lampbench.contract.trial_data import SENTINEL
from lampbench.contract.verdict import CheckResult, failed, note, passed, skipped
from lampbench.contract.workshop import Workshop
from lampbench.plugin.metric import Answer, Metric, Value
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from

_SAMPLE = 6
"""Letters by which a sentence is cut in made-up texts."""


class MetricTrials:
    """A metric under examination."""

    def __init__(self, subject: Subject, workshop: Workshop) -> None:
        self.subject = subject
        self.workshop = workshop

    def fresh(self) -> Metric:
        """The metric, from its file executed once more."""
        made: Metric = fresh_copy(self.subject.found)()
        return made

    @cached_property
    def missing(self) -> str | None:
        """What is missing to compute it here."""
        return self.fresh().missing()

    @cached_property
    def values(self) -> list[Value]:
        """What the other values are compared with."""
        return trial_values(self.fresh())

    @cached_property
    def fault(self) -> str:
        """Why it cannot be computed; empty if it can."""
        try:
            _ = self.values
        except LampbenchError as error:
            return str(error)
        return ""

    @cached_property
    def unsteady(self) -> str:
        """How equal answers are scored differently; empty if they are not."""
        found = self.difference(trial_values(self.fresh()))
        if not found and self.subject.by_name:
            question = {
                "kind": "metric", "name": self.subject.name, "plugins": self.subject.plugins,
            }  # fmt: skip
            found = self.difference(self.workshop.other_process.ask(question))
        return found

    def difference(self, values: Sequence[Value]) -> str:
        """The first answer with another value, in words."""
        for answer, expected, found in zip(trial_answers(), self.values, values, strict=True):
            if expected != found:
                return f"answer {answer.text!r:.40} has {found!r}, not {expected!r}"
        return ""


def _card(trials: MetricTrials) -> CheckResult:
    return check_card(trials.subject)


def _runs(trials: MetricTrials) -> CheckResult:
    if trials.fault:
        return failed("runs", trials.fault)
    if not isinstance(trials.fresh().signature(), str):
        return failed("runs", f"{trials.subject.place}: signature() must return a text")
    high, low = trials.fresh().high, trials.fresh().low
    return passed(
        "runs",
        f"{len(trials.values)} values from {low:g} to {'any height' if high is None else high}",
    )


def _determinism(trials: MetricTrials) -> CheckResult:
    if trials.unsteady:
        lines = chance_lines(source_of(trials.subject.found))
        return failed(
            "determinism",
            f"equal answers are scored differently: {trials.unsteady}. Use no random numbers and "
            f"no clock, and sort sets before use{f'; look at {lines}' if lines else ''}",
        )
    return passed("determinism", "equal values in two calls and in another process")


def _independence(trials: MetricTrials) -> CheckResult:
    """Answers alone, and in another order, have the values that they have together."""
    answers, check = trial_answers(), "independence"
    alone = [trial_values(trials.fresh(), [answer])[0] for answer in answers]
    backwards = trial_values(trials.fresh(), answers[::-1])[::-1]
    for values, when in ((alone, "is scored alone"), (backwards, "comes in another order")):
        if found := trials.difference(values):
            return failed(
                check,
                f"where each answer {when}, {found}. A value must depend on its own answer alone"
                f"{_memory(trials)}",
            )
    return passed(check, "equal values for answers alone, together and in another order")


def _state(trials: MetricTrials) -> CheckResult:
    metric, check = trials.fresh(), "state"
    draw = random.Random(seed_from("metric", _SAMPLE))
    others = [
        replace(answer, text=" ".join(draw.sample(["red", "blue", "green", "tall", "small"], 3)))
        for answer in trial_answers()
    ]
    trial_values(metric, others)
    if found := trials.difference(trial_values(metric)):
        return failed(
            check, f"after other answers, {found}. Keep nothing between calls{_memory(trials)}"
        )
    return passed(check, "equal values after other answers")


def _references(trials: MetricTrials) -> CheckResult:
    """It reads a reference or a history only if it says so."""
    metric, check = trials.fresh(), "references"
    answers = trial_answers()
    if not metric.compares:
        blind = [replace(answer, reference=None) for answer in answers]
        other = [replace(answer, reference=SENTINEL) for answer in answers]
        for changed, when in ((blind, "withheld"), (other, "replaced")):
            if found := _fault(trials, changed):
                return failed(
                    check,
                    f"{trials.subject.place}: where references are {when}, {found}. Set "
                    "`compares = True`, or do not read answer.reference",
                )
    if not metric.reads_history:
        bare = [replace(answer, history=None) for answer in answers]
        if found := _fault(trials, bare):
            return failed(
                check,
                f"{trials.subject.place}: where the history is not at hand, {found}. Set "
                "`reads_history = True`, or do not read answer.history",
            )
    if metric.compares:
        other = [replace(answer, reference=SENTINEL) for answer in answers]
        if not trials.difference(trial_values(trials.fresh(), other)):
            return note(check, "no value depends on the reference, though `compares` is set")
    return passed(check, "reads what it declares")


def _fault(trials: MetricTrials, answers: Sequence[Answer]) -> str:
    try:
        return trials.difference(trial_values(trials.fresh(), answers))
    except LampbenchError as error:
        return str(error)


def _memory(trials: MetricTrials) -> str:
    lines = memory_lines(source_of(trials.subject.found))
    return f"; look at {lines}" if lines else ""


METRIC_CHECKS: Mapping[str, Callable[[MetricTrials], CheckResult]] = {
    "card": _card,
    "runs": _runs,
    "determinism": _determinism,
    "independence": _independence,
    "state": _state,
    "references": _references,
}
"""By name, in the order in which they are made."""


def check_metric(trials: MetricTrials, check: str) -> CheckResult:
    """The verdict of one check; where an earlier one makes it meaningless, it is skipped."""
    if check != "card":
        if trials.missing:
            return skipped(check, f"cannot be computed here: {trials.missing}")
        if check != "runs" and trials.fault:
            return skipped(check, "the metric fails")
        if check not in ("runs", "determinism") and trials.unsteady:
            return skipped(check, "equal answers are scored differently")
    try:
        return METRIC_CHECKS[check](trials)
    except LampbenchError as error:
        return failed(check, str(error))
