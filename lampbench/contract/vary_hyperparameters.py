"""Each declared hyper-parameter is set to other values: the key must change, and the run."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lampbench.contract.subject import Subject
from lampbench.contract.trial import Conditions, Outcome
from lampbench.contract.verdict import CheckResult, failed, note, passed
from lampbench.plugin.hyperparameter import UNSET, Part, child_parts, hyper_fields
from lampbench.plugin.method import Method
from lampbench.util.errors import LampbenchError

Try = Callable[..., Outcome]
Key = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class _Declared:
    """A hyper-parameter: its path, its rule, the class that declares it, and that of its part."""

    path: str
    rule: dict[str, Any]
    owner: type
    part: type


def check_hyperparameters(subject: Subject, usual: Outcome, trial: Try, key: Key) -> CheckResult:
    """Vary each hyper-parameter of a method's parts, one at a time.

    The parts of `lampbench.plugin` are known to use theirs where a method is nothing but such
    parts; their keys are compared all the same.
    """
    check, idle = "hyper-parameters", []
    composed = type(subject.method()).predict is Method.predict
    declared = {one.path: one for one in _declared(subject)}
    for path, one in declared.items():
        if path not in usual.settings:
            return failed(
                check,
                f"{one.owner.__name__} declares {path}, which nothing sets: nest its part in a "
                "field of another part or in an attribute of the method, not in a list or dict",
            )
        verdict = _varied(one, usual, trial, key, composed and not _is_own(one.part))
        if verdict == "same key":
            return failed(
                check, f"{path}: another value gives the same key; do not override identity"
            )
        if verdict == "idle":
            if _is_own(one.owner):
                return failed(
                    check,
                    f"{path} changes nothing in a run: use self.{path.rpartition('.')[2]} in "
                    f"{one.owner.__name__}, or remove it",
                )
            idle.append(path)
    if idle:
        return note(
            check,
            f"{len(declared)} change the key; {', '.join(sorted(idle))} "
            f"{'changes' if len(idle) == 1 else 'change'} nothing else here: a user who sets it "
            "only makes the run anew",
        )
    if not declared:
        return passed(check, "none is declared")
    return passed(check, f"{len(declared)} change key and run")


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


def _varied(one: _Declared, usual: Outcome, trial: Try, key: Key, key_alone: bool) -> str:
    """What other values change: "both", or what they leave as it is: "same key" or "idle"."""
    verdict = "both"
    for value in _others(usual.settings[one.path].value, one.rule):
        try:
            if key({one.path: value}) == usual.key:
                return "same key"
            if key_alone or trial(conditions=Conditions(values={one.path: value})).answers != (
                usual.answers
            ):
                return "both"
        except LampbenchError:
            return "both"  # it is read, and the value does not fit the trial's data
        verdict = "idle"
    return verdict


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
