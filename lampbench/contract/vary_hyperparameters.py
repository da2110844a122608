"""Each declared hyper-parameter is set to other values: the key must change, and the run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lampbench.contract.method_trials import MethodTrials
from lampbench.contract.read_settings import is_read
from lampbench.contract.subject import Subject, place_of
from lampbench.contract.trial import Conditions, Outcome
from lampbench.contract.trial_data import trial_dataset
from lampbench.contract.verdict import CheckResult, failed, note, passed
from lampbench.core.dataset import Dataset
from lampbench.plugin.hyperparameter import UNSET, Part, child_parts, hyper_fields
from lampbench.plugin.method import Method
from lampbench.util.errors import LampbenchError

_EDITIONS = ("another edition", "a third edition")
"""Further texts on which a setting is tried that changes nothing on the usual ones."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A hyper-parameter: its path, its rule, the class that declares it, and that of its part."""

    path: str
    rule: dict[str, Any]
    owner: type
    part: type


def check_hyperparameters(trials: MethodTrials) -> CheckResult:
    """Vary each hyper-parameter of a method's parts, one at a time.

    The parts of `lampbench.plugin` are known to use theirs where a method is nothing but such
    parts; their keys are compared all the same.
    """
    check, subject = "hyper-parameters", trials.subject
    composed = type(subject.method()).predict is Method.predict
    declared = {one.path: one for one in _declared(subject)}
    unused: list[str] = []
    without_effect: list[str] = []
    for path, one in declared.items():
        if path not in trials.echoed.settings:
            return failed(
                check,
                f"{one.owner.__name__} declares {path}, which nothing sets: nest its part in a "
                "field of another part or in an attribute of the method, not in a list or dict; "
                f"look at {place_of(one.owner)}",
            )
        verdict = _varied(one, trials, composed and not _is_own(one.part))
        if verdict == "same key":
            return failed(
                check,
                f"{path}: another value gives the same key; do not override identity; look at "
                f"{place_of(one.owner)}",
            )
        if verdict == "idle":
            name = path.rpartition(".")[2]
            if not _is_own(one.owner):
                unused.append(path)
            elif is_read(name, (one.part, subject.found)):
                without_effect.append(path)
            else:
                return failed(
                    check,
                    f"{path} changes nothing in a run: use self.{name} in "
                    f"{one.owner.__name__}, or remove it; look at {place_of(one.owner)}",
                )
    if unused or without_effect:
        return note(check, f"{len(declared)} change the key; {_told(unused, without_effect)}")
    if not declared:
        return passed(check, "none is declared")
    return passed(check, f"{len(declared)} change key and run")


def _told(unused: list[str], without_effect: list[str]) -> str:
    """What changes the key and not the run; at least one of the lists has a path."""
    found = []
    if without_effect:
        has = "has" if len(without_effect) == 1 else "have"
        found.append(
            f"{', '.join(sorted(without_effect))} {has} no effect on the trial's data, though the "
            "code reads it: compare two runs on your own data"
        )
    if unused:
        changes = "changes" if len(unused) == 1 else "change"
        found.append(
            f"{', '.join(sorted(unused))} {changes} nothing else here: a user who sets it only "
            "makes the run anew"
        )
    return "; ".join(found)


def _declared(subject: Subject) -> Iterator[_Declared]:
    waiting = list(subject.method().parts().values())
    while waiting:
        part = waiting.pop()
        for path, field in hyper_fields(part):
            owner = _declares(type(part), field.name)
            yield _Declared(path, field.metadata["hyper"], owner, type(part))
        waiting += [child for _, child in child_parts(part)]
        waiting += _hidden(part)


def _hidden(part: Part) -> Iterator[Part]:
    """Parts in a list, tuple or dict of a part's fields, which nothing resolves."""
    for value in vars(part).values():
        held = value.values() if isinstance(value, dict) else value
        if not isinstance(held, str) and hasattr(held, "__iter__"):
            yield from (one for one in held if isinstance(one, Part))


def _declares(kind: type, name: str) -> type:
    return next(base for base in kind.__mro__ if name in vars(base).get("__annotations__", {}))


def _is_own(owner: type) -> bool:
    """Whether the class is a plugin's, and not one that lampbench offers to all."""
    return not owner.__module__.startswith("lampbench.plugin.")


def _varied(one: _Declared, trials: MethodTrials, key_alone: bool) -> str:
    """What other values change: "both", or what they leave as it is: "same key" or "idle"."""
    others = list(_others(trials.echoed.settings[one.path].value, one.rule))
    for value in others:
        try:
            if trials.key({one.path: value}) == trials.echoed.key:
                return "same key"
        except LampbenchError:
            return "both"  # it is read, and the value does not fit the trial's data
        if key_alone or _changes(one.path, value, trials, trials.data, trials.echoed):
            return "both"
    if others and _is_own(one.owner):
        for edition in _EDITIONS:
            data = trial_dataset(trials.task, edition, trials.subject.method().min_history)
            usual = trials.echo(data=data)
            if any(_changes(one.path, value, trials, data, usual) for value in others):
                return "both"
    return "idle" if others else "both"


def _changes(path: str, value: Any, trials: MethodTrials, data: Dataset, usual: Outcome) -> bool:
    """Whether a run with another value of a hyper-parameter has other answers, or none."""
    conditions = Conditions(values={path: value})
    try:
        return trials.echo(data=data, conditions=conditions).answers != usual.answers
    except LampbenchError:
        return True  # it is read, and the value does not fit the trial's data


def _others(value: Any, rule: dict[str, Any]) -> Iterator[Any]:
    """Other valid values, those that are most likely to show a difference first."""
    if rule["choices"]:
        yield from (choice for choice in rule["choices"] if choice != value)
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        low, high = rule["low"], rule["high"]
        steps = [value // 2, value - 1, value + 1, value * 2 + 1] if isinstance(value, int) else [
            value / 2, value * 2, value + 0.25, value - 0.25
        ]  # fmt: skip
        yield from (
            other for other in dict.fromkeys(steps)
            if other != value and (low is None or other >= low) and (high is None or other <= high)
        )  # fmt: skip
    elif isinstance(value, tuple):
        yield from (other for other in (value[:1], value[1:]) if other and other != value)
    elif isinstance(value, str) and value is not UNSET:
        yield f"{value}-other"
